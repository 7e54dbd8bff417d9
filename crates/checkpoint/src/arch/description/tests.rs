use super::*;
use crate::arch::rules::NamePattern;
use crate::arch::{Config, ModelType, TensorRule};

const HEAD: &str = "name = 'x'\nclasses = ['X']\ntokenizers = ['byte-level-bpe']\n";

fn rules(text: &str) -> Vec<String> {
    let arch = parse(&format!("{HEAD}{text}")).unwrap_or_else(|why| panic!("{why:#?}"));
    let rule = |rule: &TensorRule| {
        let sources: Vec<_> = rule.sources.iter().map(NamePattern::text).collect();
        let targets: Vec<_> = rule.outputs.iter().map(|output| output.target.as_str()).collect();
        let (sources, targets) = (sources.join(" + "), targets.join(" + "));
        format!("{sources} -> {targets} [{}] {}", rule.shape_text(), rule.needed)
    };
    arch.tensors.iter().map(rule).collect()
}

/// Reads a description with all that can be said of it.
fn read_all(text: &str) -> (Option<Arch>, Vec<Mistake>) {
    read(text, true)
}

#[test]
fn a_line_is_a_rule_or_two() {
    let text = r#"
        keys = ["width", "biased"]
        [tensors."h.{layer}. -> blk.{layer}."]
        "n.weight -> attn_norm.weight" = { shape = "width", bias = true }
        "q.weight -> attn_q.weight" = { shape = "2 * width, width", bias = "biased", rearrange = [
            "(a b=2) c -> (b a) c",
        ] }
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
fn what_becomes_a_number_is_no_tensor() {
    let text = |rule: &str| {
        format!(
            "{HEAD}metadata = [{{ key = 'a', f32 = 'slopes' }}]\n\
             [tensors.'h.{{layer}}. -> b.{{layer}}.']\n{rule}"
        )
    };
    let arch = parse(&text("slope = { shape = '1', number = 'slopes' }")).unwrap();
    assert_eq!(arch.tensors[0].number.as_deref(), Some("slopes"));
    assert!(arch.tensors[0].outputs.is_empty());
    for (rule, expected) in [
        ("'slope -> slope' = { shape = '1', number = 'slopes' }", "becomes no tensor"),
        ("slope = { shape = '1', number = 'slops' }", "did you mean \"slops\"?"),
        ("slope = '1'", "neither"),
    ] {
        let mistakes = parse(&text(rule)).unwrap_err();
        let found = mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        assert!(found.contains(expected), "{rule}: {found}");
    }
}

#[test]
fn a_description_replaces_what_its_groups_say() {
    let text = r#"
        use = ["norms", "attention-sizes"]
        keys = ["a"]
        metadata = ["text-model", { key = "context_length", u32 = 5 }, { key = "more", f32 = "a" }]
        [numbers]
        head = 7
        [tensors."model.layers.{layer}. -> blk.{layer}."]
        "input_layernorm.weight -> other.weight" = "3"
    "#;
    let arch = parse(&format!("{HEAD}{text}")).unwrap_or_else(|why| panic!("{why:#?}"));
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

/// What is inherited, what is replaced and what is added.
#[test]
fn a_description_is_like_another_but_for_what_it_says() {
    let text = r#"
        name = "x"
        like = "llama"
        classes = ["X", "XHeadless"]
        headless = ["XHeadless"]
        quirks = []
        loader-needs = ["more"]
        metadata = [
            { key = "vocab_size", u32 = "skip" },
            { key = "more", u32 = "intermediate_size" },
        ]
        [numbers]
        dense = "layer == 0"
        [tensors."model.layers.{layer}.mlp. -> blk.{layer}."]
        "gate_proj.weight -> ffn_up.weight" = "intermediate_size, hidden_size"
        "extra.weight -> ffn_extra.weight" = "hidden_size"
    "#;
    let arch = parse(text).unwrap_or_else(|why| panic!("{why:#?}"));
    let all = super::super::all();
    let llama = all
        .iter()
        .find(|arch| arch.classes.contains(&"LlamaModel".to_owned()))
        .expect("it is built in");
    assert_eq!((arch.classes.len(), &arch.headless[..]), (2, &["XHeadless".to_owned()][..]));
    assert_eq!(arch.tokenizers, llama.tokenizers);
    assert!(arch.quirks.is_empty() && !llama.quirks.is_empty());
    assert_eq!(arch.loader_needs[..arch.loader_needs.len() - 1], llama.loader_needs);
    assert_eq!(arch.metadata.len(), llama.metadata.len() + 2);
    assert_eq!(arch.tensors.len(), llama.tensors.len() + 1);
    assert_eq!(arch.computed.len(), llama.computed.len());
    assert!(arch.defaults.is_empty() && !llama.defaults.is_empty());
    let dense: Vec<_> = arch.numbers.iter().filter(|(name, _)| name == "dense").collect();
    assert!(dense.len() == 1 && dense[0].1.to_string() == "layer == 0", "{dense:?}");
    let gate = |arch: &Arch| {
        let rule = |rule: &&TensorRule| rule.sources[0].text().ends_with("mlp.gate_proj.weight");
        arch.tensors.iter().find(rule).map(|rule| rule.outputs[0].target.clone())
    };
    assert_eq!(gate(llama).as_deref(), Some("blk.{layer}.ffn_gate.weight"));
    assert_eq!(gate(&arch).as_deref(), Some("blk.{layer}.ffn_up.weight"));
}

/// What a description says of a model type replaces the generated defaults.
#[test]
fn defaults_are_generated_or_said() {
    let text = "model-types = ['llama', 'mistral']\n[defaults.llama]\nvocab_size = 5\nnew = 1\n\
                [defaults.other]\nvocab_size = 6\n[aliases.llama]\nold = 'new'";
    let (arch, mistakes) = read_all(&format!("{HEAD}keys = ['new']\n{text}"));
    let arch = arch.unwrap_or_else(|| panic!("{mistakes:#?}"));
    let names: Vec<_> = arch.defaults.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(names, ["llama", "mistral", "other"]);
    let value = |ty: &ModelType, key: &str| {
        let mut found = ty.values.iter().filter(|(name, _)| name == key);
        let value = found.next().map(|(_, value)| value.to_string());
        assert!(found.next().is_none(), "{key}");
        value
    };
    let [llama, mistral, other] = &arch.defaults[..] else { unreachable!() };
    assert_eq!(value(llama, "vocab_size").as_deref(), Some("5"));
    assert_eq!(value(llama, "hidden_size").as_deref(), Some("4096"));
    assert_eq!(llama.values.last().map(|(key, _)| key.as_str()), Some("new"));
    assert_eq!(value(mistral, "vocab_size").as_deref(), Some("32000"));
    assert_eq!((other.values.len(), value(other, "hidden_size")), (1, None));
    assert_eq!(llama.aliases, [("old".to_owned(), "new".to_owned())]);
}

/// Projectors have groups and defaults of their own, and need no tokenizer.
#[test]
fn projectors_are_described() {
    let text = "kind = 'projector'\nclasses = ['A']\nuse = ['siglip']\nmetadata = ['vision']\n";
    let (arch, mistakes) = read_all(text);
    let arch = arch.unwrap_or_else(|| panic!("{mistakes:#?}"));
    assert_eq!((arch.name.as_str(), arch.kind), ("clip", Kind::Projector));
    assert!(arch.parts.iter().any(|(name, path)| name == "vision" && path == "vision_config"));
    let (arch, mistakes) = read_all(&format!("{text}like = 'llama'\n"));
    assert!(arch.is_none() && mistakes[0].message.contains("no built-in description"));
}

/// A description in which something is misspelt, the line, and words of the message.
type Slip = (&'static str, usize, &'static [&'static str]);

/// After `HEAD`, which has three lines.
const SLIPS: &[Slip] = &[
    // What TOML or the forms of its values refuse.
    ("wrong = 1", 4, &["unknown field `wrong`"]),
    ("\n\nmetdata = []", 6, &["metdata", "did you mean \"metadata\"?"]),
    ("name =", 4, &[]),
    ("quirks = ['nothing']", 4, &["nothing"]),
    ("quirks = [\n  'space-prefx',\n]", 5, &["did you mean \"space-prefix\"?"]),
    ("metadata = [\n  { key = 'a', u23 = 1 },\n]", 5, &["did you mean \"u32\"?"]),
    ("[tensors.'']\n'a -> c' = { shape = '1', chnge = 'x' }", 5, &["did you mean \"change\"?"]),
    ("[tensors.'']\n'a -> c' = { shape = '1', change = 'add-on' }", 5, &["\"add-one\"?"]),
    ("[tensors.'']\n'a -> c' = { change = 'add-one' }", 5, &["missing field `shape`"]),
    ("[tensors.'']\n'a -> c' = { shape = '1', type = 'f17' }", 5, &["\"f16\"?"]),
    ("only = [\n  '{beyond}{beyond}',\n]", 5, &["stands there twice"]),
    (
        "[tensors.'']\n'a + b' = { shape = '1', into = [{ to = 'c', calculation = 'factor' }] }",
        5,
        &["calculated from the values of 4 tensors, but the rule has 2"],
    ),
    ("[tensors.'']\n'a.{layer} -> c.{layrs}' = '1'", 5, &["did you mean \"layers\"?"]),
    // Expressions.
    ("[numbers]\na = '1 +'", 5, &["expression \"1 +\""]),
    ("metadata = [\n  { key = 'a', u32 = 'lenn(layers)' },\n]", 5, &["did you mean \"len\"?"]),
    ("metadata = [\n  { key = 'a', u32 = 'len()' },\n]", 5, &["0 arguments, expected 1"]),
    (
        "use = ['attention-sizes']\nmetadata = [\n  { key = 'a', u32 = 'heads ?? skip' },\n  \
         { key = 'b', u32 = 'haed ?? skip' },\n]",
        7,
        &["\"haed ?? skip\"", "the name \"haed\" is unknown", "did you mean \"head\"?"],
    ),
    (
        "keys = ['width']\nmetadata = [\n  { key = 'a', f32 = 'widht' },\n]",
        6,
        &["did you mean \"width\"?"],
    ),
    ("metadata = [\n  { key = 'a', u32 = 'layers or skip' },\n]", 5, &["write \"??\""]),
    ("requires = ['experts or 2 == 2']", 4, &["\"experts or 2 == 2\"", "write \"??\""]),
    ("[numbers]\nlayers = 3\nx = 'layers == 2 or layers'", 6, &["write \"??\""]),
    ("metadata = [{ key = 'a', f32 = 'rope.rope_thet' }]", 4, &["\"rope.rope_thet\" is unknown"]),
    (
        "keys = ['sliding_window']\nmetadata = [{ key = 'a', u32 = 'raw.sliding_windw' }]",
        5,
        &["did you mean \"raw.sliding_window\"?"],
    ),
    ("requires = [\n  'layrs == 2',\n]", 5, &["did you mean \"layers\"?"]),
    ("when = 'experst'", 4, &["did you mean \"experts\"?"]),
    ("[numbers]\na = 'unheard'", 5, &["\"unheard\" is unknown: it is no number"]),
    ("[defaults.x]\na = 1\nb = '2 * c'", 6, &["did you mean \"a\"?"]),
    ("left-out = [\n  'a',\n  { name = 'b', when = 'layrs' },\n]", 6, &["\"layers\"?"]),
    ("[computed.t]\nvalues = 'layrs'", 5, &["\"layers\"?"]),
    ("[computed.t]\nvalues = '[layers]'\nlength = 'layrs'", 6, &["\"layers\"?"]),
    // Numbers.
    (
        "use = ['gated', 'attention-sizes']\n[numbers]\ndnse = 'layer < 3'",
        6,
        &["nothing uses the number \"dnse\"", "did you mean \"dense\"?"],
    ),
    ("[numbers]\nlayers = 'a'\na = 'b'\nb = 'a'", 6, &["defined by itself: a -> b -> a"]),
    ("requires = ['layer == 1']", 4, &["needs the number of a layer"]),
    (
        "requires = ['even']\n[numbers]\neven = 'layer % 2 == 0'",
        4,
        &["needs the number of a layer"],
    ),
    // Groups and metadata.
    ("use = [\n  'norms',\n  'attenton',\n]", 6, &["no group \"attenton\"", "\"attention\"?"]),
    ("use = ['text-model']", 4, &["name it there"]),
    ("use = ['attention']", 4, &["group \"attention\"", "\"queries\" is unknown"]),
    ("metadata = [\n  'text-modl',\n]", 5, &["did you mean \"text-model\"?"]),
    ("metadata = [\n  'file-typ',\n]", 5, &["did you mean \"file-type\"?"]),
    ("metadata = ['norms']", 4, &["there are no metadata \"norms\""]),
    ("metadata = [\n  { key = 'a' },\n]", 5, &["one of u32"]),
    ("metadata = [{ key = 'a', u32 = 1, f32 = 1 }]", 4, &["one of u32"]),
    // Descriptions that are like another.
    ("\nlike = 'lama'", 5, &["no built-in description \"lama\"", "did you mean \"llama\"?"]),
    ("like = 'example'\n", 4, &["no built-in description"]),
    (
        "like = 'llama'\nmetadata = [{ key = 'a', u32 = 'haed' }]",
        5,
        &["\"haed\" is unknown", "did you mean \"head\"?"],
    ),
    ("like = 'llama'\nmodel-types = [\n  'lama',\n]", 6, &["\"lama\"; did you mean \"llama\"?"]),
    ("like = 'llama'\n[numbers]\ndnse = 'layer < 3'", 6, &["did you mean \"dense\"?"]),
    // Classes.
    ("headless = ['Y']", 4, &["\"Y\" is none of \"classes\""]),
    ("requires = [\"contains(architectures, 'Z')\"]", 4, &["\"Z\" is none of \"classes\""]),
    ("[defaults.x]\nhidden_size = 1\n[aliases.y]\na = 'hidden_size'", 6, &["has no defaults"]),
    // Tensors.
    ("[tensors.'']\n\n'a.weight' = '1'", 6, &["tensor a.weight", "what it becomes"]),
    ("[tensors.'']\n'a..b -> c' = '1'", 5, &["a..b"]),
    ("[tensors.'']\n'a -> c' = { shape = '1', bias = true }", 5, &[".weight"]),
    ("[tensors.'']\n'a.{layer}.b -> c' = '1'", 5, &["must have a layer"]),
    ("[tensors.'']\n'a.{layr}.b -> c.{layer}' = '1'", 5, &["{layr}"]),
    ("[tensors.'']\n'a.{layer:layrs}.b -> c.{layer}' = '1'", 5, &["\"layers\"?"]),
    ("[tensors.'']\n'a -> b' = '1'\n'c -> d' = '1, layrs'", 6, &["did you mean \"layers\"?"]),
    ("[tensors.'']\n'a -> b' = '1'\n'c -> d' = '1 +'", 6, &["expression \"1 +\""]),
    ("[tensors.'']\n'a -> c' = { shape = '1', rearrange = 'a' }", 5, &["\"->\""]),
    (
        "[tensors.'']\n'a -> c' = { shape = '1', rearrange = [\n  'x -> x',\n  'x y -> x',\n] }",
        7,
        &["y is not on the right"],
    ),
    (
        "[tensors.'']\n'a' = { shape = '1', into = [\n  \
         { to = 'b', rearrange = 'x[:layrs] -> x' },\n] }",
        6,
        &["did you mean \"layers\"?"],
    ),
    ("[tensors.'']\n'a -> c' = { shape = '1', when = 'experst' }", 5, &["\"experts\"?"]),
    ("[tensors.'']\n'a -> c' = { shape = '1', needed = 'experst' }", 5, &["\"experts\"?"]),
    (
        "[tensors.'']\n'a.weight -> c.weight' = { shape = '1', bias = 'experst' }",
        5,
        &["\"experts\"?"],
    ),
    (
        "[tensors.'']\n'a -> output.weight' = { shape = '1', unless-equal = 'outptu.weight' }",
        5,
        &["no rule makes", "did you mean \"output.weight\"?"],
    ),
    (
        "[tensors.'']\n'a.weight -> c.weight' = { shape = '1, 2', bias = true, \
         rearrange = 'a b -> b a' }",
        5,
        &["bias"],
    ),
    ("[tensors.'']\n'a -> c' = { shape = '1', rows = 'layrs' }", 5, &["\"layers\"?"]),
    (
        "[tensors.'']\n'a -> c' = { shape = '1', rows = '2', change = 'add-one' }",
        5,
        &["whose values do not change"],
    ),
    (
        "[tensors.'']\n'a' = { shape = '1', zeros-before = '2', into = [\n  \
         { to = 'b' }, { to = 'c' },\n] }",
        5,
        &["only the rows of one tensor"],
    ),
    ("[computed.'blk.{layer}.a']\nvalues = '[layer]'", 4, &["must stand \"before\""]),
    (
        "[tensors.'']\n'a -> output.weight' = '1'\n[computed.t]\nvalues = '[1]'\n\
         before = 'outptu.weight'",
        8,
        &["no rule makes", "\"output.weight\"?"],
    ),
    ("[modules.a]\nnam = 'x'", 5, &["did you mean \"name\"?"]),
    ("[rename]\n'(' = ''", 5, &["rename"]),
    ("[saved]\n'a' = 'b'\n'^(c)' = '$2'", 6, &["saved", "$2"]),
];

#[test]
fn what_is_misspelt_is_an_error_with_its_line() {
    for (text, line, words) in SLIPS {
        let text = format!("{HEAD}{text}");
        let mistakes = parse(&text).map(|_| ()).expect_err(&text);
        let fits = |mistake: &Mistake| {
            mistake.line == Some(*line) && words.iter().all(|word| mistake.message.contains(word))
        };
        assert!(mistakes.iter().any(fits), "{text}\nexpected {line} {words:?}: {mistakes:#?}");
    }
    for (text, why) in
        [("", "name"), ("name = 'x'", "classes"), ("name = 'x'\nclasses = ['X']", "tokenizers")]
    {
        let mistakes = parse(text).map(|_| ()).unwrap_err();
        assert!(
            mistakes.iter().any(|mistake| mistake.message.contains(why)),
            "{text}: {mistakes:?}"
        );
    }
}

#[test]
fn values_change_in_steps() {
    let text = r#"
        keys = ["factor"]
        [tensors.""]
        "a -> a" = { shape = "1", change = "add-one" }
        "b -> b" = { shape = "2, 1", change = ["single-precision", { add = "1 / 4" }] }
        "c -> c" = { shape = "4", change = [
            { multiply = "factor" },
            { multiply = 2, rows = "1:2" },
            { add = 1, rows = "3:" },
        ] }
        "d -> d" = { shape = "4", change = { multiply = "0 - 1", rows = "1:", every = "2" } }
        "e -> e" = { shape = "4", change = "ternary" }
    "#;
    let arch = parse(&format!("{HEAD}{text}")).unwrap_or_else(|why| panic!("{why:#?}"));
    let config = Config::of(serde_json::json!({"factor": 3}));
    let scope = config.bare_scope(&arch.numbers);
    let changed = |rule: usize, half| {
        let mut values = [1.0, 1.0, 1.0, 1.0];
        let changes = arch.tensors[rule].change.resolve(&scope, 4.0).unwrap();
        changes.apply(&mut values, (0, 1), half);
        values
    };
    assert_eq!(changed(0, true), [2.0; 4]);
    assert_eq!(changed(1, true), [1.25; 4]);
    assert_eq!(changed(2, false), [3.0, 6.0, 3.0, 4.0]);
    assert_eq!(changed(3, false), [1.0, -1.0, 1.0, -1.0]);
    assert_eq!(changed(4, false), [0.0; 4]);
    assert!(arch.tensors[4].change.rounds() && !arch.tensors[3].change.rounds());
    for (change, why) in [
        ("'add-two'", "unknown change `add-two`, expected one of `add-one`"),
        ("{ add = 1, multiply = 2 }", "a change either adds or multiplies"),
        ("{ rows = '1:2' }", "a change either adds or multiplies"),
        ("{ add = 1, rows = '1' }", "no range"),
        ("{ add = 1, every = '2' }", "says where"),
        ("{ add = 'fctor' }", "\"fctor\" is unknown"),
    ] {
        let text = format!("{HEAD}[tensors.'']\n'a -> a' = {{ shape = '1', change = {change} }}");
        let mistakes = format!("{:?}", read_all(&text).1);
        assert!(mistakes.contains(&why.replace('"', "\\\"")), "{change}: {mistakes}");
    }
    let text = format!("{HEAD}[tensors.'']\n'a + b -> a' = {{ shape = '1', change = 'ternary' }}");
    let mistakes = format!("{:?}", read_all(&text).1);
    assert!(mistakes.contains("only whole tensors are rounded to three values"), "{mistakes}");
}

/// What may be meant so, but probably is not.
#[test]
fn what_is_nearly_another_name_is_a_warning() {
    for (text, line, words) in [
        (
            "metadata = [\n  { key = 'embeding_length', u32 = 1 },\n]",
            5,
            ["key \"embeding_length\"", "did you mean \"embedding_length\"?"],
        ),
        (
            "[tensors.'a.{layer}. -> blk.{layer}.']\n'b -> attn_nrom.weight' = '1'",
            5,
            ["tensor name", "did you mean \"blk.{layer}.attn_norm.weight\"?"],
        ),
        (
            "[defaults.x]\nrope_thata = 1",
            5,
            ["nothing uses the default \"rope_thata\"", "did you mean \"rope_theta\"?"],
        ),
        (
            "loader-needs = ['expert_cuont']\nmetadata = ['text-model']",
            4,
            ["no entry of the metadata writes", "did you mean \"expert_count\"?"],
        ),
    ] {
        let text = format!("{HEAD}{text}");
        let (arch, mistakes) = read_all(&text);
        assert!(arch.is_some(), "{text}: {mistakes:#?}");
        let fits = |mistake: &Mistake| {
            mistake.severity == Severity::Warning
                && mistake.line == Some(line)
                && words.iter().all(|word| mistake.message.contains(word))
        };
        assert!(mistakes.iter().any(fits), "{text}: {mistakes:#?}");
    }
}

#[test]
fn all_mistakes_are_found_at_once_in_the_order_of_lines() {
    let text =
        "use = ['attenton']\nmetadata = [\n  { key = 'a', u32 = 'layrs' },\n  'text-modl',\n]";
    let (arch, mut mistakes) = read_all(&format!("{HEAD}{text}"));
    mistakes.retain(|mistake| mistake.severity == Severity::Error);
    assert!(arch.is_none());
    let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [Some(4), Some(6), Some(7)], "{mistakes:#?}");
}

#[test]
fn the_example_of_the_specification_is_good() {
    let page = include_str!("../../../../../spec/architectures.md");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let (arch, mistakes) = read_all(example.expect("there is an example"));
    assert!(arch.is_some() && mistakes.is_empty(), "{mistakes:#?}");
}
