//! The permission sets (权限集) that merchants grant, by name: protocol section 9 as a table.

use base::language::Language;

/// A permission set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionSet {
    /// The id in `func_info`.
    pub id: u32,
    /// WeChat's name for it.
    pub name: &'static str,
    /// Its name in English.
    pub english: &'static str,
    /// Whether an account can grant it to only one platform at a time: a later grant to another platform takes it away.
    pub is_exclusive: bool,
}

impl PermissionSet {
    /// The set with this id; `None` for one that is not in the protocol document.
    #[must_use]
    pub fn of(id: u32) -> Option<Self> {
        SETS.binary_search_by_key(&id, |set| set.id).ok().map(|place| SETS[place])
    }

    /// Its name in a language.
    #[must_use]
    pub const fn title(&self, language: Language) -> &'static str {
        language.pick(self.name, self.english)
    }
}

const fn set(id: u32, name: &'static str, english: &'static str) -> PermissionSet {
    PermissionSet { id, name, english, is_exclusive: false }
}

const fn exclusive(id: u32, name: &'static str, english: &'static str) -> PermissionSet {
    PermissionSet { id, name, english, is_exclusive: true }
}

/// In ascending order of the ids.
const SETS: [PermissionSet; 82] = [
    set(1, "消息管理", "Messages"),
    set(2, "用户管理", "Users"),
    set(3, "账号服务", "Account services"),
    exclusive(4, "网页服务", "Web pages"),
    set(5, "微信小店", "WeChat shop"),
    set(6, "微信多客服", "Customer-service staff"),
    set(7, "群发与通知", "Mass messages and notices"),
    set(8, "微信卡券", "Cards and coupons"),
    set(9, "微信扫一扫", "Scan of products"),
    set(10, "微信连WIFI", "WeChat Wi-Fi"),
    set(11, "素材管理", "Media library"),
    set(12, "微信摇周边", "Shake nearby"),
    set(13, "微信门店", "Stores"),
    set(14, "微信支付", "WeChat Pay"),
    set(15, "菜单管理", "Menus"),
    set(16, "认证状态", "Verification status"),
    set(17, "获取小程序码", "Mini-program codes"),
    exclusive(18, "小程序开发与数据分析", "Mini-program development and analytics"),
    set(19, "小程序客服管理", "Mini-program customer service"),
    set(20, "登录", "Login"),
    set(21, "数据分析", "Analytics"),
    set(22, "城市服务", "City services"),
    set(23, "广告管理", "Advertising"),
    exclusive(24, "开放平台账号管理", "Open-platform account"),
    exclusive(25, "开放平台账号管理", "Open-platform account"),
    set(26, "电子发票", "Electronic invoices"),
    set(27, "快速注册小程序", "Fast registration of mini programs"),
    set(30, "基本信息管理", "Basic settings"),
    set(31, "认证名称检测", "Check of verified names"),
    set(33, "小程序关联管理", "Linked mini programs"),
    exclusive(34, "商品库管理", "Product catalogue"),
    set(35, "卡路里", "Calories"),
    set(36, "卡路里", "Calories"),
    set(37, "附近的小程序", "Nearby mini programs"),
    exclusive(40, "插件管理", "Plugins"),
    exclusive(41, "好物圈", "Good-things circle"),
    set(44, "好物圈", "Good-things circle"),
    exclusive(45, "物流服务", "Logistics"),
    set(46, "一物一码", "One code per item"),
    set(47, "财政电子票据", "Electronic fiscal receipts"),
    set(48, "财政电子票据", "Electronic fiscal receipts"),
    exclusive(49, "云开发管理", "Cloud development"),
    exclusive(51, "即时配送", "Instant delivery"),
    set(52, "直播管理", "Live streams"),
    exclusive(54, "服务号对话管理", "Service-account conversations"),
    set(65, "广告管理", "Advertising"),
    set(66, "服务市场管理", "Service market"),
    set(67, "服务市场管理", "Service market"),
    set(70, "交易组件商品", "Trade component: products"),
    set(71, "交易组件订单物流售后", "Trade component: orders, logistics and after-sales"),
    exclusive(73, "交易组件接入", "Trade component: setup"),
    exclusive(76, "违规与交易投诉", "Violations and trade complaints"),
    exclusive(81, "试用小程序快速认证", "Fast verification of trial mini programs"),
    set(84, "交易组件优惠券", "Trade component: coupons"),
    set(85, "自定义版交易组件", "Custom trade component"),
    set(86, "小商店装修", "Shop decoration"),
    set(88, "链接管理", "Links"),
    set(89, "服务号订阅通知", "Service-account subscription notices"),
    set(93, "小程序联盟", "Mini-program alliance"),
    set(99, "云开发短信", "Cloud development: text messages"),
    set(102, "云开发支付", "Cloud development: payments"),
    set(104, "交易组件资金", "Trade component: funds"),
    set(105, "城市服务", "City services"),
    set(112, "红包封面", "Red-packet covers"),
    set(113, "就医助手", "Medical assistant"),
    set(116, "交易组件数据", "Trade component: data"),
    set(117, "图像处理", "Image processing"),
    set(118, "硬件服务", "Hardware services"),
    exclusive(119, "支付管理服务", "Payment management"),
    set(120, "购物订单", "Shopping orders"),
    set(121, "公众号购物订单", "Shopping orders of official accounts"),
    set(135, "流量主代运营", "Ad revenue on behalf"),
    set(139, "运费险", "Return-shipping insurance"),
    set(140, "推广员", "Promoters"),
    set(142, "发货管理服务", "Shipping management"),
    set(144, "学生认证", "Student verification"),
    set(151, "交易保障", "Trade protection"),
    set(153, "微短剧", "Short dramas"),
    set(156, "备案", "Filing (ICP)"),
    set(157, "虚拟支付", "Virtual payments"),
    set(161, "微信客服", "WeChat customer service"),
    set(182, "订单管理", "Orders"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_protocol_document() {
        let document = include_str!("../PROTOCOL.md");
        let section = document.split("\n## ").find(|section| section.starts_with("9. ")).unwrap();
        let mut documented: Vec<(u32, &str, bool)> = Vec::new();
        for row in section.lines() {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [id, name, exclusive, _] = cells[..] else { continue };
            let Ok(id) = id.parse() else { continue };
            documented.push((id, name, exclusive == "yes"));
        }
        documented.sort_unstable();
        let known: Vec<_> = SETS.iter().map(|set| (set.id, set.name, set.is_exclusive)).collect();
        assert_eq!(known, documented);
        assert!(known.len() > 70 && known.is_sorted());
    }

    #[test]
    fn a_set_is_found_by_its_id() {
        assert_eq!(PermissionSet::of(4).map(|set| (set.name, set.is_exclusive)), Some(("网页服务", true)));
        assert_eq!(PermissionSet::of(182).map(|set| set.name), Some("订单管理"));
        assert_eq!(PermissionSet::of(1).map(|set| set.title(Language::English)), Some("Messages"));
        assert_eq!((PermissionSet::of(0), PermissionSet::of(9_999)), (None, None));
    }
}
