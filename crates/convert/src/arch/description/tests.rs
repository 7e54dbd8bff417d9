use super::*;

const HEAD: &str = "name = 'x'\nclasses = ['X']\ntokenizers = ['byte-level-bpe']\n";

fn rules(text: &str) -> Vec<String> {
    let arch = parse(&format!("{HEAD}{text}")).unwrap_or_else(|why| panic!("{why}"));
    let rule = |rule: &TensorRule| {
        let sources: Vec<_> = rule.sources.iter().map(NamePattern::text).collect();
        let targets: Vec<_> = rule.outputs.iter().map(|output| output.target.as_str()).collect();
        let (sources, targets) = (sources.join(" + "), targets.join(" + "));
        format!("{sources} -> {targets} [{}] {}", rule.shape_text(), rule.needed)
    };
    arch.tensors.iter().map(rule).collect()
}

#[test]
fn a_line_is_a_rule_or_two() {
    let text = r#"
        [tensors."h.{layer}. -> blk.{layer}."]
        "n.weight -> attn_norm.weight" = { shape = "width", bias = true }
        "q.weight -> attn_q.weight" = { shape = "2 * width, width", bias = "biased", rearrange = "(a b=2) c -> (b a) c" }
        "u.weight" = { shape = "width", into = [{ to = "a" }, { to = "b", rearrange = "c -> c" }] }
        "a.x + a.y -> z" = ""
    "#;
    assert_eq!(
        rules(text),
        [
            "h.{layer}.n.weight -> blk.{layer}.attn_norm.weight [width] true",
            "h.{layer}.n.bias -> blk.{layer}.attn_norm.bias [width] true",
            "h.{layer}.q.weight -> blk.{layer}.attn_q.weight [2 * width, width] true",
            "h.{layer}.q.bias -> blk.{layer}.attn_q.bias [2 * width] biased",
            "h.{layer}.u.weight -> blk.{layer}.a + blk.{layer}.b [width] true",
            "h.{layer}.a.x + h.{layer}.a.y -> blk.{layer}.z [] true",
        ]
    );
}

#[test]
fn a_description_replaces_what_its_groups_say() {
    let text = r#"
        use = ["norms", "attention-sizes"]
        metadata = ["text-model", { key = "context_length", u32 = 5 }, { key = "more", f32 = "a" }]
        [numbers]
        head = 7
        [tensors."model.layers.{layer}. -> blk.{layer}."]
        "input_layernorm.weight -> other.weight" = "3"
    "#;
    let arch = parse(&format!("{HEAD}{text}")).unwrap_or_else(|why| panic!("{why}"));
    let heads: Vec<_> = arch.numbers.iter().filter(|(name, _)| name == "head").collect();
    assert!(heads.len() == 1 && heads[0].1.to_string() == "7", "{heads:?}");
    assert_eq!(arch.tensors.len(), 2);
    assert_eq!(arch.tensors[0].outputs[0].target, "blk.{layer}.other.weight");
    let entries = arch.metadata.iter().filter_map(|item| match item {
        Item::Entry(entry) => Some((entry.key.as_str(), entry.value.to_string())),
        _ => None,
    });
    let entries: Vec<_> = entries.collect();
    let lengths: Vec<_> = entries.iter().filter(|(key, _)| *key == "context_length").collect();
    assert!(lengths.len() == 2 && lengths[1].1 == "5", "{lengths:?}"); // the last counts
    assert_eq!(entries.last(), Some(&("more", "a".to_owned())));
}

#[test]
fn mistakes_are_named() {
    for (text, why) in [
        ("wrong = 1", "wrong"),
        ("metadata = [\n{ key = 'a' }]", "one of u32"),
        ("metadata = ['nothing']", "nothing"),
        ("use = ['nothing']", "nothing"),
        ("[numbers]\na = '1 +'", "line 5"),
        ("[tensors.'']\n'a.weight' = '1'", "what it becomes"),
        ("[tensors.'']\n'a..b -> c' = '1'", "a..b"),
        ("[tensors.'']\n'a -> c' = { shape = '1', bias = true }", ".weight"),
        ("[tensors.'']\n'a.{layer}.b -> c' = '1'", "layer"),
        ("[tensors.'']\n'a -> c' = { shape = '1', rearrange = 'a' }", "->"),
        ("[tensors.'']\n'a -> c' = { shape = '1', chnge = 'x' }", "chnge"),
        (
            "[tensors.'']\n'a.weight -> c.weight' = { shape = '1, 2', bias = true, rearrange = 'a b -> b a' }",
            "bias",
        ),
        ("[rename]\n'(' = ''", "rename"),
        ("quirks = ['nothing']", "nothing"),
    ] {
        let error = parse(&format!("{HEAD}{text}")).map(|_| ()).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
    for (text, why) in
        [("", "name"), ("name = 'x'", "classes"), ("name = 'x'\nclasses = ['X']", "tokenizers")]
    {
        let error = parse(text).map(|_| ()).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}
