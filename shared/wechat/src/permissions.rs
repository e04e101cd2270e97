//! The permission sets (权限集) that merchants grant, by name: protocol section 9 as a table.

/// A permission set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionSet {
    /// The id in `func_info`.
    pub id: u32,
    /// WeChat's name for it.
    pub name: &'static str,
    /// Whether an account can grant it to one platform at a time: a later grant to another platform takes it away.
    pub is_exclusive: bool,
}

impl PermissionSet {
    /// The set with this id; `None` for one that the protocol does not name.
    #[must_use]
    pub fn of(id: u32) -> Option<Self> {
        SETS.binary_search_by_key(&id, |set| set.id).ok().map(|place| SETS[place])
    }
}

const fn set(id: u32, name: &'static str) -> PermissionSet {
    PermissionSet { id, name, is_exclusive: false }
}

const fn exclusive(id: u32, name: &'static str) -> PermissionSet {
    PermissionSet { id, name, is_exclusive: true }
}

/// In ascending order of the ids.
const SETS: [PermissionSet; 82] = [
    set(1, "消息管理"),
    set(2, "用户管理"),
    set(3, "账号服务"),
    exclusive(4, "网页服务"),
    set(5, "微信小店"),
    set(6, "微信多客服"),
    set(7, "群发与通知"),
    set(8, "微信卡券"),
    set(9, "微信扫一扫"),
    set(10, "微信连WIFI"),
    set(11, "素材管理"),
    set(12, "微信摇周边"),
    set(13, "微信门店"),
    set(14, "微信支付"),
    set(15, "菜单管理"),
    set(16, "认证状态"),
    set(17, "获取小程序码"),
    exclusive(18, "小程序开发与数据分析"),
    set(19, "小程序客服管理"),
    set(20, "登录"),
    set(21, "数据分析"),
    set(22, "城市服务"),
    set(23, "广告管理"),
    exclusive(24, "开放平台账号管理"),
    exclusive(25, "开放平台账号管理"),
    set(26, "电子发票"),
    set(27, "快速注册小程序"),
    set(30, "基本信息管理"),
    set(31, "认证名称检测"),
    set(33, "小程序关联管理"),
    exclusive(34, "商品库管理"),
    set(35, "卡路里"),
    set(36, "卡路里"),
    set(37, "附近的小程序"),
    exclusive(40, "插件管理"),
    exclusive(41, "好物圈"),
    set(44, "好物圈"),
    exclusive(45, "物流服务"),
    set(46, "一物一码"),
    set(47, "财政电子票据"),
    set(48, "财政电子票据"),
    exclusive(49, "云开发管理"),
    exclusive(51, "即时配送"),
    set(52, "直播管理"),
    exclusive(54, "服务号对话管理"),
    set(65, "广告管理"),
    set(66, "服务市场管理"),
    set(67, "服务市场管理"),
    set(70, "交易组件商品"),
    set(71, "交易组件订单物流售后"),
    exclusive(73, "交易组件接入"),
    exclusive(76, "违规与交易投诉"),
    exclusive(81, "试用小程序快速认证"),
    set(84, "交易组件优惠券"),
    set(85, "自定义版交易组件"),
    set(86, "小商店装修"),
    set(88, "链接管理"),
    set(89, "服务号订阅通知"),
    set(93, "小程序联盟"),
    set(99, "云开发短信"),
    set(102, "云开发支付"),
    set(104, "交易组件资金"),
    set(105, "城市服务"),
    set(112, "红包封面"),
    set(113, "就医助手"),
    set(116, "交易组件数据"),
    set(117, "图像处理"),
    set(118, "硬件服务"),
    exclusive(119, "支付管理服务"),
    set(120, "购物订单"),
    set(121, "公众号购物订单"),
    set(135, "流量主代运营"),
    set(139, "运费险"),
    set(140, "推广员"),
    set(142, "发货管理服务"),
    set(144, "学生认证"),
    set(151, "交易保障"),
    set(153, "微短剧"),
    set(156, "备案"),
    set(157, "虚拟支付"),
    set(161, "微信客服"),
    set(182, "订单管理"),
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
        assert_eq!((PermissionSet::of(0), PermissionSet::of(9_999)), (None, None));
    }
}
