//! The names of all attributes of the table. `DATA-MODEL.md` describes them: a test fails if one is missing there, but
//! not if it describes one that no longer exists.

/// Defines the constants, and a list of all of them for the test, from one table.
macro_rules! attributes {
    ($($constant:ident = $name:literal),* $(,)?) => {
        $(pub(crate) const $constant: &str = $name;)*

        /// All attributes.
        #[cfg(test)]
        const ALL: &[&str] = &[$($name),*];
    };
}

attributes! {
    // Every item.
    PK = "pk",
    SK = "sk",
    EXPIRES_AT = "expires_at",
    // Items that fall due.
    DUE_SHARD = "due_shard",
    DUE_AT = "due_at",
    // Leased items.
    LEASE_OWNER = "lease_owner",
    LEASE_UNTIL = "lease_until",
    // Tickets.
    TICKET = "ticket",
    CREATE_TIME = "create_time",
    RECEIVED_AT = "received_at",
    // Tokens, the component's and the accounts'.
    ACCESS_TOKEN = "access_token",
    TOKEN_EXPIRES_AT = "token_expires_at",
    TOKEN_SEQ = "token_seq",
    DOUBTS = "doubts",
    STORED_AT = "stored_at",
    FAILURES = "failures",
    LAST_ERROR = "last_error",
    LAST_FAILURE = "last_failure",
    REFUSED_SINCE = "refused_since",
    AFTER_REFUSAL = "after_refusal",
    REFRESH_TOKEN = "refresh_token",
    // Accounts.
    STATE = "state",
    ACTIVE_SINCE = "active_since",
    UNAUTHORIZED_SINCE = "unauthorized_since",
    NEEDS_AUTHORIZATION_SINCE = "needs_authorization_since",
    GRANTED_AT = "granted_at",
    REVOKED_AT = "revoked_at",
    GRANT_CLAIM = "grant_claim",
    ASKED_AT = "asked_at",
    FUNC_INFO = "func_info",
    PROFILE = "profile",
    NAME_OWNED = "name_owned",
    DETAILS_STATE = "details_state",
    // The details of accounts, and their events.
    STATE_SINCE = "state_since",
    TAGS = "tags",
    LOGIN_ORIGINS = "login_origins",
    LABELS_VERSION = "labels_version",
    PROFILE_READ_AT = "profile_read_at",
    PROFILE_ASKED_AT = "profile_asked_at",
    PROFILE_ASKED_BY = "profile_asked_by",
    EVENTS = "events",
    VERSION = "version",
    EVENT = "event",
    BUS_DONE = "bus_done",
    BUS_DUE_AT = "bus_due_at",
    WEBHOOK_DONE = "webhook_done",
    WEBHOOK_DUE_AT = "webhook_due_at",
    // Items in a list.
    LIST_PK = "list_pk",
    LIST_SK = "list_sk",
    // The names of accounts.
    USER_NAME = "user_name",
    INTRODUCED_AT = "introduced_at",
    AUTHORIZER = "authorizer",
    // The inbox.
    INFO_TYPE = "info_type",
    PUSH = "push",
    CODE = "code",
    CLAIM = "claim",
    RELEASE_CHECK = "release_check",
    TRIES = "tries",
    OUTCOME = "outcome",
    FINISHED_AT = "finished_at",
    // Claims.
    LINK = "link",
    ATTEMPT = "attempt",
    TRIED_BY = "tried_by",
    BY = "by",
    AT = "at",
    // Links and attempts.
    CREATED_BY = "created_by",
    CREATED_AT = "created_at",
    VALID_UNTIL = "valid_until",
    AUTH_TYPE = "auth_type",
    CATEGORY_IDS = "category_ids",
    BIZ_APPID = "biz_appid",
    RETURN_URL = "return_url",
    REQUESTER_NAME = "requester_name",
    MADE_BY = "made_by",
    REFERENCE = "reference",
    MINTS = "mints",
    MINT_TIMES = "mint_times",
    AUTHORIZED_AT = "authorized_at",
    BOUND_BY = "bound_by",
    CANCELLED_AT = "cancelled_at",
    ASKS_AGAIN = "asks_again",
    ASKING_LINK = "asking_link",
    COOKIE = "cookie",
    CODES = "codes",
    // Messages.
    FIRST_OWNER = "first_owner",
    REPLY = "reply",
    ANSWERED_AT = "answered_at",
    ACCOUNT_MESSAGE = "account_message",
    CONFIRMED = "confirmed",
    KEPT_AT = "kept_at",
    LAST_MESSAGE_AT = "last_message_at",
    // Calls on behalf of accounts.
    REQUEST = "request",
    ANSWER = "answer",
    ANSWER_BODY = "answer_body",
    FAILED_CALL = "failed_call",
    COUNT = "count",
    // Web logins.
    LOGIN = "login",
    USED_AT = "used_at",
    USED_BY = "used_by",
    // API keys.
    NAME = "name",
    SCOPES = "scopes",
    APPIDS = "appids",
    SECRET_DIGEST = "secret_digest",
    IN_URL = "in_url",
    ENDS_AT = "ends_at",
    LAST_USED_ON = "last_used_on",
    // Operators, their invitations and browsers.
    OPERATOR_ID = "operator_id",
    RIGHTS = "rights",
    // An operator's own attributes, by which IAM distinguishes their item from those of their browsers: all are in one
    // partition.
    OPERATOR_UNTIL = "operator_until",
    OPERATOR_ENDED_AT = "operator_ended_at",
    OPERATOR_ENDED_BY = "operator_ended_by",
    ENDED_AT = "ended_at",
    ENDED_BY = "ended_by",
    NEXT_DIGEST = "next_digest",
    NEXT_MADE_AT = "next_made_at",
    PREVIOUS_DIGEST = "previous_digest",
    REPLACED_AT = "replaced_at",
    FORM_TOKEN = "form_token",
    BOUND_AT = "bound_at",
    ROTATED_AT = "rotated_at",
    LAST_SEEN_ON = "last_seen_on",
    LABEL = "label",
    // The audit log.
    ACT = "act",
    SUBJECT = "subject",
    DETAIL = "detail",
    SOURCE_IP = "source_ip",
    REQUEST_ID = "request_id",
    // Check files.
    CONTENT = "content",
    ORIGIN = "origin",
    // The release check.
    SEEN = "seen",
    // Health.
    REPORT = "report",
    MILLISECONDS = "milliseconds",
    MEASURED = "measured",
    ANSWER_AT = "answer_at",
    ANSWER_API = "answer_api",
    ANSWER_CODE = "answer_code",
    REFUSAL_AT = "refusal_at",
    REFUSAL_API = "refusal_api",
    REFUSAL_CODE = "refusal_code",
    REFUSAL_WORDS = "refusal_words",
    REFUSAL_RID = "refusal_rid",
    REFUSAL_IP = "refusal_ip",
    // Passes over WeChat's list.
    STARTED_AT = "started_at",
    NEXT_OFFSET = "next_offset",
    LISTED = "listed",
    ENDED_READ_AT = "ended_read_at",
    REQUESTED = "requested",
    TOTAL = "total",
    ADDED = "added",
    REPAIRED = "repaired",
    GONE = "gone",
    FAILED = "failed",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_model_describes_every_attribute() {
        let document = include_str!("../DATA-MODEL.md");
        let missing: Vec<&&str> = ALL.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "DATA-MODEL.md lacks {missing:?}");
    }
}
