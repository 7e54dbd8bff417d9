use serde_json::json;

use super::*;
use crate::arch::Config;

#[test]
fn values_follow_from_the_config() {
    let config = Config::of(json!({
        "a": 7, "half": 0.5, "none": null, "list": [3, 4], "yes": true, "kind": "x",
        "in": {"deep": 9}, "num_layers": 3, "names": {"10": "j", "9": "i"},
        "texts": {"10": "j", "9": "i", "x": "x"},
    }));
    let numbers: Numbers = [
        ("a", "a * 2"),
        ("b", "a + 1"),
        ("loop", "loop2"),
        ("loop2", "loop"),
        ("blocks", "layers"),
        ("layers", "num_layers"),
    ]
    .map(|(key, text)| (key.to_owned(), Expression::parse(text).unwrap()))
    .into();
    let scope = config.bare_scope(&numbers);
    let value = |text: &str| {
        let expression = Expression::parse(text).unwrap();
        scope.value(&expression).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    for (text, expected) in [
        ("a", json!(14)),
        ("b - 1 * 2", json!(13)),
        ("(b - 1) * 2", json!(28)),
        ("b // 4 + b % 4", json!(6)),
        ("b / 4", json!(3.75)),
        ("trunc(half * b)", json!(7)),
        ("absent ?? none ?? 5", json!(5)),
        ("yes ?? 5 // 0", json!(true)),
        ("not yes or a == 14 and yes", json!(true)),
        ("absent ?? (yes and not yes or has(absent))", json!(false)),
        ("absent + 1", json!(null)),
        ("first(absent, none, b)", json!(null)),
        ("first(absent, b)", json!(15)),
        ("if(yes and not none, 'text', skip)", json!("text")),
        ("has(none) and not has(absent)", json!(true)),
        ("each_layer(if(layer < 2, list[layer], 0))", json!([3, 4, 0])),
        ("each_layer(layer * 2, 2)", json!([0, 2])),
        ("each_layer(layer, absent)", Value::Null),
        ("each_layer(layer == 1)", json!([false, true, false])),
        ("each(list, item + a)", json!([17, 18])),
        ("each(none, item)", json!(null)),
        ("each([list], each(item, item * 2))", json!([[6, 8]])),
        ("stored('*')", json!(0)),
        ("shape('*')", json!(null)),
        ("[a, in.deep]", json!([14, 9])),
        ("sqrt(4) == 2 and kind != 'y'", json!(true)),
        ("max(a, b) - min(a, b)", json!(1)),
        ("-3 + len(list)", json!(-1)),
        ("[round(2.5), round(3.5), round(0 - 0.6)]", json!([2, 4, -1])),
        ("pow(2, 10) - pow(4, half) + pow(absent, 1)", json!(null)),
        ("pow(2, 10) - pow(4, half)", json!(1022.0)),
        ("['M-*'[1], 'M-*'[3] ?? 'none']", json!(["-", "none"])),
        ("integers('12, 3,,-1') == [-1, 3, 12] and integers(none) == null", json!(true)),
        ("raw.a", json!(7)),
        ("generation.a", json!(null)),
        ("first_layer(if(layer > 0, layer, null))", json!(1)),
        ("first_layer(null)", json!(null)),
        ("names[9]", json!("i")),
        ("pow(list[1], half)", json!(2.0)),
        ("pow(absent, 2)", json!(null)),
        ("quantile(half)", json!(0.0)),
        ("quantile(1) > pow(10, 300) and quantile(0) < 0", json!(true)),
        ("join(list, repeat(layer ?? 'x', 2))", json!([3, 4, "x", "x"])),
        ("repeat(absent, 2) ?? join(list, a)", json!(null)),
        ("sorted_values(names)", json!(["i", "j"])),
        ("leading([1, 1, 2, 1], 1)", json!(2)),
        ("leading(null, 1)", json!(null)),
        ("each_equals([1, 2], 2)", json!([false, true])),
        ("each_equals(null, 2)", json!(null)),
        ("'it''s'", json!("it's")),
        ("''", json!("")),
        ("sorted_values(texts)", json!(["j", "i", "x"])),
        ("sorted_values(a)", json!(null)),
        ("any(none, false, a == 14) and not any(absent)", json!(true)),
        ("contains(list, 4.0) and not contains(absent, 1)", json!(true)),
        ("layer", json!(null)),
        ("9223372036854775807 + 1 > 0", json!(true)),
    ] {
        assert_eq!(value(text), Some(expected), "{text}");
    }
    assert_eq!(value("1 + (absent ?? skip)"), None);
    for (text, why) in [
        ("1 // (a - 14)", "above 0"),
        ("kind + 1", "number"),
        ("quantile(a)", "from 0 to 1"),
        ("repeat(a, -1)", "at most 2^20"),
        ("repeat(a, 1048577)", "at most 2^20"),
        ("loop", "by itself"),
        ("each(a, item)", "a list"),
        ("absent or yes", "\"absent\" is null but expected true or false (\"??\" replaces null)"),
        ("not yes or a", "\"a\" is 14 but expected true or false"),
    ] {
        let expression = Expression::parse(text).unwrap();
        let error = scope.value(&expression).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    let expression = Expression::parse("a * (absent ?? none)").unwrap();
    let error = scope.needed(&expression).unwrap_err().to_string();
    assert!(error.contains("absent or none"), "{error}");
}
