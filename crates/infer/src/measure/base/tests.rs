use super::super::score;
use super::*;

const VOCABULARY: u32 = 1001;

fn heading() -> Heading {
    let tokens = (0..16).map(|i| i * 57 % VOCABULARY).collect();
    Heading { chunk_tokens: 8, vocabulary: VOCABULARY, tokens }
}

/// Logits of three scored positions, as spread as those of models.
fn logits(seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut normal = || (0..12).map(|_| random.f32()).sum::<f32>() - 6.0;
    // one token in twenty is likely
    (0..3 * VOCABULARY).map(|i| 3.0 * normal() + if i % 20 == 0 { 10.0 } else { 0.0 }).collect()
}

fn written(form: Form) -> Vec<u8> {
    let mut writer = BaseWriter::start(Vec::new(), form, heading()).unwrap();
    writer.chunk(&logits(1)).unwrap();
    writer.chunk(&logits(2)).unwrap();
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<Base>, BaseFileError> {
    let mut reader = BaseReader::open(bytes, bytes.len() as u64)?;
    let mut bases = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        bases.extend(chunk);
    }
    Ok(bases)
}

/// The divergences of slightly different logits from what was read, minus the exact ones.
fn errors(form: Form) -> Vec<f64> {
    let bases = read(&written(form)).unwrap();
    assert_eq!(bases.len(), 6);
    let rows = [logits(1), logits(2)].concat();
    let targets = [heading().targets(0), heading().targets(1)].concat();
    let mut errors = Vec::new();
    for ((row, target), base) in rows.chunks(VOCABULARY as usize).zip(targets).zip(bases) {
        let other: Vec<f32> =
            row.iter().zip(0..).map(|(logit, i)| logit + 0.2 * (i as f32).sin()).collect();
        let exact = Base::of_logits(row, target).unwrap();
        assert_eq!((base.top, base.vocabulary), (exact.top, exact.vocabulary));
        // one form raises what is less likely
        assert!((base.target - exact.target).abs() < 2e-4 || exact.target < -15.0);
        let [found, exact] = [&base, &exact].map(|base| score(&other, target, Some(base)).unwrap());
        let [found, exact] = [found, exact].map(|score| score.versus.unwrap().divergence);
        assert!(exact > 1e-3);
        errors.push((found - exact).abs());
    }
    errors
}

#[test]
fn both_forms_keep_distributions_and_the_sparse_one_better() {
    let most = |form| errors(form).into_iter().fold(0.0, f64::max);
    let (llama, sparse) = (most(Form::Llama), most(Form::Sparse));
    assert!(llama < 1e-4, "{llama}");
    assert!(sparse < 5e-6 && sparse < llama / 2.0, "{sparse} {llama}");
    let sizes = [Form::Llama, Form::Sparse].map(|form| written(form).len());
    assert!(sizes[1] < sizes[0], "{sizes:?}");
}

#[test]
fn the_heading_is_read_again() {
    for form in [Form::Llama, Form::Sparse] {
        let bytes = written(form);
        let reader = BaseReader::open(&bytes[..], bytes.len() as u64).unwrap();
        assert_eq!((reader.heading(), reader.form()), (&heading(), form));
    }
}

/// Equal logits have no scale, and are still distributions.
#[test]
fn equal_logits() {
    for form in [Form::Llama, Form::Sparse] {
        let heading = Heading { chunk_tokens: 4, vocabulary: 3, tokens: vec![0, 1, 2, 1] };
        let mut writer = BaseWriter::start(Vec::new(), form, heading).unwrap();
        writer.chunk(&[1.0; 3]).unwrap();
        let bases = read(&writer.finish().unwrap()).unwrap();
        let found = score(&[0.0; 3], 1, Some(&bases[0])).unwrap().versus.unwrap();
        assert!(found.divergence.abs() < 1e-6 && found.same_top, "{found:?}");
    }
}

#[test]
fn a_part_of_the_chunks() {
    for form in [Form::Llama, Form::Sparse] {
        let bytes = written(form);
        let all = read(&bytes).unwrap();
        for (first, most, chunks) in [(0, 1, 0..1), (1, 1, 1..2), (0, 9, 0..2), (2, 1, 2..2)] {
            let mut reader = BaseReader::open(&bytes[..], bytes.len() as u64).unwrap();
            reader.select(first, most).unwrap();
            assert_eq!(reader.heading().tokens, heading().tokens[8 * chunks.start..8 * chunks.end]);
            let mut found = Vec::new();
            while let Some(chunk) = reader.next_chunk().unwrap() {
                found.extend(chunk);
            }
            assert_eq!(found, all[3 * chunks.start..3 * chunks.end]);
        }
    }
}

#[test]
fn every_truncation_and_many_changes_are_survived() {
    for form in [Form::Llama, Form::Sparse] {
        let bytes = written(form);
        for length in (0..bytes.len()).step_by(97) {
            assert!(read(&bytes[..length]).is_err(), "{form:?} {length}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(read(&longer).is_err());
        for position in (0..bytes.len()).step_by(211) {
            let mut damaged = bytes.clone();
            for value in [0, 0x7f, 0xff] {
                damaged[position] = value;
                for base in read(&damaged).unwrap_or_default() {
                    let found = score(&vec![0.0; base.vocabulary], 0, Some(&base));
                    assert!(found.is_ok());
                }
            }
        }
    }
}

#[test]
fn faults_are_named() {
    let fault = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(fault(b"GGUF....").contains("_logits_"));
    assert!(fault(b"_logits_\x08\0\0").contains("ends before the sizes"));
    let mut bytes = written(Form::Llama);
    bytes[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    assert!(fault(&bytes).contains("no position"), "{}", fault(&bytes));
    bytes[16..20].copy_from_slice(&3_u32.to_le_bytes());
    assert!(fault(&bytes).contains("is it complete"));
    let mut bytes = written(Form::Sparse);
    bytes[20..24].copy_from_slice(&VOCABULARY.to_le_bytes());
    assert!(fault(&bytes).contains("token 1001 of the text"));
    let mut writer = BaseWriter::start(Vec::new(), Form::Sparse, heading()).unwrap();
    let error = writer.chunk(&vec![f32::NAN; 3 * VOCABULARY as usize]).unwrap_err();
    assert!(matches!(error, BaseFileError::Logits { chunk: 0, .. }));
}
