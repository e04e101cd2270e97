//! The table, created in the embedded DynamoDB.
//!
//! The table is defined in `template.yaml`; this is its only copy in Rust, used by `cargo run` and by every test, and a
//! test here compares it with the template. The cloud's settings for retention, encryption and protection have no
//! meaning on this machine and are left out.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableInputBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TimeToLiveSpecification, TimeToLiveStatus,
};

/// Why the table was not created.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The definition lacks something that the SDK requires.
    #[error("the definition of the table is incomplete")]
    Definition(#[from] BuildError),
    /// DynamoDB refused, or did not respond.
    #[error("the table {table} cannot be created: {reason}")]
    Refused {
        /// The table's name.
        table: String,
        /// DynamoDB's message.
        reason: String,
    },
}

/// The index of every list.
const LIST: &str = "list";

/// The attribute with the time from which an item may be deleted, in Unix seconds.
const EXPIRES_AT: &str = "expires_at";

/// The input of `CreateTable`: keys `pk` and `sk`, the sparse indexes `due` and `list`, on-demand, a stream of keys.
///
/// # Errors
/// [`BuildError`] if the definition is incomplete; the test below would notice it first.
pub fn definition(name: &str) -> Result<CreateTableInputBuilder, BuildError> {
    let due = GlobalSecondaryIndex::builder()
        .index_name("due")
        .key_schema(key("due_shard", KeyType::Hash)?)
        .key_schema(key("due_at", KeyType::Range)?)
        .projection(keys_only())
        .build()?;
    let list = GlobalSecondaryIndex::builder()
        .index_name(LIST)
        .set_key_schema(Some(list_keys()?))
        .projection(keys_only())
        .build()?;
    let stream =
        StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::KeysOnly).build()?;
    Ok(CreateTableInputBuilder::default()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("sk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("due_shard", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("due_at", ScalarAttributeType::N)?)
        .attribute_definitions(attribute("list_pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("list_sk", ScalarAttributeType::S)?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(due)
        .global_secondary_indexes(list)
        .stream_specification(stream))
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build()
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, BuildError> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
}

fn list_keys() -> Result<Vec<KeySchemaElement>, BuildError> {
    Ok(vec![key("list_pk", KeyType::Hash)?, key("list_sk", KeyType::Range)?])
}

fn keys_only() -> Projection {
    Projection::builder().projection_type(ProjectionType::KeysOnly).build()
}

/// Creates the table and switches its expiry on; does nothing if that is done already. A table of an earlier version
/// gets the index that it lacks, as with an update of the stack in the cloud.
///
/// # Errors
/// [`TableError`] naming the table.
pub async fn create_table(client: &Client, name: &str) -> Result<(), TableError> {
    match definition(name)?.send_with(client).await {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(CreateTableError::is_resource_in_use_exception) => {
            add_list(client, name).await?;
        }
        Err(error) => return Err(refused(name, &error)),
    }
    let expiry = client.describe_time_to_live().table_name(name).send().await.map_err(|error| refused(name, &error))?;
    let status = expiry.time_to_live_description.and_then(|description| description.time_to_live_status);
    // DynamoDB refuses to switch on what is already on.
    if status == Some(TimeToLiveStatus::Enabled) {
        return Ok(());
    }
    let specification = TimeToLiveSpecification::builder().enabled(true).attribute_name(EXPIRES_AT).build()?;
    let update = client.update_time_to_live().table_name(name).time_to_live_specification(specification);
    update.send().await.map_err(|error| refused(name, &error))?;
    Ok(())
}

async fn add_list(client: &Client, name: &str) -> Result<(), TableError> {
    let table = client.describe_table().table_name(name).send().await.map_err(|error| refused(name, &error))?.table;
    let indexes = table.and_then(|table| table.global_secondary_indexes).unwrap_or_default();
    if indexes.iter().any(|index| index.index_name() == Some(LIST)) {
        return Ok(());
    }
    let list = CreateGlobalSecondaryIndexAction::builder()
        .index_name(LIST)
        .set_key_schema(Some(list_keys()?))
        .projection(keys_only())
        .build()?;
    let update = client
        .update_table()
        .table_name(name)
        .attribute_definitions(attribute("list_pk", ScalarAttributeType::S)?)
        .attribute_definitions(attribute("list_sk", ScalarAttributeType::S)?)
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(list).build());
    update.send().await.map(drop).map_err(|error| refused(name, &error))
}

fn refused<E: ProvideErrorMetadata, R>(table: &str, error: &SdkError<E, R>) -> TableError {
    TableError::Refused { table: table.to_owned(), reason: error.message().unwrap_or("it does not respond").to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aws_sdk_dynamodb::types::AttributeValue;
    use serde_json::{Value, json};

    use super::*;
    use crate::dynamodb::Embedded;

    async fn described(client: &Client) -> Value {
        let table = client.describe_table().table_name("table").send().await.unwrap().table.unwrap();
        let expiry = client.describe_time_to_live().table_name("table").send().await.unwrap();
        let keys = |keys: &[KeySchemaElement]| {
            keys.iter().map(|key| json!([key.attribute_name, key.key_type.as_str()])).collect::<Vec<_>>()
        };
        let index = |index: &aws_sdk_dynamodb::types::GlobalSecondaryIndexDescription| {
            let projection = index.projection().unwrap().projection_type().unwrap().as_str();
            json!([index.index_name(), keys(index.key_schema()), projection])
        };
        json!({
            "attributes": table.attribute_definitions().iter()
                .map(|attribute| format!("{} {}", attribute.attribute_name, attribute.attribute_type))
                .collect::<BTreeSet<_>>(),
            "keys": keys(table.key_schema()),
            "indexes": table.global_secondary_indexes().iter().map(index).collect::<Vec<_>>(),
            "billing": table.billing_mode_summary().unwrap().billing_mode().unwrap().as_str(),
            "stream": table.stream_specification().unwrap().stream_view_type().unwrap().as_str(),
            "expiry": expiry.time_to_live_description.unwrap().attribute_name,
        })
    }

    fn in_template(template: &str) -> Value {
        let template: Value = serde_saphyr::from_str(template).unwrap();
        let tables: Vec<&Value> = template["Resources"]
            .as_object()
            .unwrap()
            .values()
            .filter(|resource| resource["Type"] == "AWS::DynamoDB::Table")
            .collect();
        let [table] = tables[..] else { panic!("template.yaml defines {} tables, not one", tables.len()) };
        let table = &table["Properties"];
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let keys = |value: &Value| {
            list(value).iter().map(|key| json!([key["AttributeName"], key["KeyType"]])).collect::<Vec<_>>()
        };
        let index = |index: &Value| {
            json!([index["IndexName"], keys(&index["KeySchema"]), index["Projection"]["ProjectionType"]])
        };
        json!({
            "attributes": list(&table["AttributeDefinitions"]).iter()
                .map(|attribute| {
                    let text = |name: &str| attribute[name].as_str().unwrap().to_owned();
                    format!("{} {}", text("AttributeName"), text("AttributeType"))
                })
                .collect::<BTreeSet<_>>(),
            "keys": keys(&table["KeySchema"]),
            "indexes": list(&table["GlobalSecondaryIndexes"]).iter().map(index).collect::<Vec<_>>(),
            // The choice is [condition, provisioned, on-demand]: on this machine nobody pays.
            "billing": table["BillingMode"][2],
            "stream": table["StreamSpecification"]["StreamViewType"],
            "expiry": table["TimeToLiveSpecification"]["AttributeName"],
        })
    }

    #[tokio::test]
    async fn the_table_is_the_one_of_the_template() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml");
        let template = std::fs::read_to_string(path).expect("template.yaml is at the root of the workspace");
        let embedded = Embedded::memory().unwrap();
        create_table(&embedded.client(), "table").await.unwrap();
        assert_eq!(described(&embedded.client()).await, in_template(&template));
    }

    #[tokio::test]
    async fn a_table_of_an_earlier_version_gets_the_index_that_it_lacks_and_keeps_its_items() {
        let embedded = Embedded::memory().unwrap();
        let client = embedded.client();
        let earlier = definition("table").unwrap();
        let due = earlier.get_global_secondary_indexes().clone().unwrap().swap_remove(0);
        let of_list = |attribute: &AttributeDefinition| attribute.attribute_name().starts_with("list");
        let mut attributes = earlier.get_attribute_definitions().clone().unwrap();
        attributes.retain(|attribute| !of_list(attribute));
        let earlier = earlier.set_global_secondary_indexes(Some(vec![due])).set_attribute_definitions(Some(attributes));
        earlier.send_with(&client).await.unwrap();
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = client.put_item().table_name("table").item("pk", text("a")).item("sk", text("b"));
        put.item("list_pk", text("l")).item("list_sk", text("1")).send().await.unwrap();

        create_table(&client, "table").await.unwrap();
        let query = client.query().table_name("table").index_name(LIST).key_condition_expression("list_pk = :l");
        let found = query.expression_attribute_values(":l", text("l")).send().await.unwrap();
        assert_eq!(found.count, 1, "what is there already is in the index");
        let indexes = |described: Value| described["indexes"].clone();
        let embedded = Embedded::memory().unwrap();
        create_table(&embedded.client(), "table").await.unwrap();
        assert_eq!(indexes(described(&client).await), indexes(described(&embedded.client()).await));
    }

    #[tokio::test]
    async fn making_the_table_twice_changes_nothing() {
        let embedded = Embedded::memory().unwrap();
        let client = embedded.client();
        create_table(&client, "table").await.unwrap();
        let before = described(&client).await;
        create_table(&client, "table").await.unwrap();
        assert_eq!(described(&client).await, before);
    }
}
