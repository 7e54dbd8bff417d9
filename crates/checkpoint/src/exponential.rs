//! The exponential function with the rounding of torch.
//!
//! Torch calls a library whose results differ from the correctly rounded ones for one argument in
//! a hundred, by one unit in the last place. They follow from the steps below, which were compared
//! with torch 2.11.0 (x86-64, AMD) for 22 million arguments, all BF16 numbers included.

/// Arguments of at most this magnitude are calculated like torch's library does; it takes another
/// path for the others.
const LIMIT: f32 = 87.33;

/// 128 / ln 2.
const PARTS_PER_UNIT: f32 = f32::from_bits(0x4338_AA3B);

/// ln 2 / 128: the upper bits, whose product with a number of parts is exact, and the rest.
const PART: (f32, f32) = (f32::from_bits(0x3BB1_8000), f32::from_bits(0xB5DE_8083));

/// Returns e to the power of `x`.
pub(crate) fn exp(x: f32) -> f32 {
    if x.is_nan() || x.abs() > LIMIT {
        return f64::from(x).exp() as f32;
    }
    let parts = (x * PARTS_PER_UNIT).round_ties_even();
    let rest = (x - parts * PART.0) - parts * PART.1;
    let squared = rest * rest;
    let rest = rest + 0.5 * squared;
    let parts = parts as i32;
    let (high, low) = POWERS[parts.rem_euclid(128) as usize];
    let (high, low) = (f32::from_bits(high), f32::from_bits(low));
    let power = f32::from_bits(((parts.div_euclid(128) + 127) as u32) << 23);
    (high + (low + high * rest)) * power
}

/// 2^(i/128) for `i` from 0 to 127: the bits of the nearest number in single precision, and of the
/// rest. Calculated with 60 decimal digits.
#[rustfmt::skip]
const POWERS: [(u32, u32); 128] = [
    (0x3F80_0000, 0x0000_0000), (0x3F80_B1ED, 0x331F_B333), (0x3F81_64D2, 0xB1C4_3FD0),
    (0x3F82_18AF, 0x3306_E7F8), (0x3F82_CD87, 0xB34E_A7A9), (0x3F83_8359, 0x331D_DF6E),
    (0x3F84_3A29, 0xB2F1_4C87), (0x3F84_F1F6, 0x332C_6F38), (0x3F85_AAC3, 0x334F_9891),
    (0x3F86_6491, 0x3337_247F), (0x3F87_1F62, 0xB352_C2E6), (0x3F87_DB35, 0x337F_ED32),
    (0x3F88_980F, 0xB37E_DA4B), (0x3F89_55EE, 0x30D8_6398), (0x3F8A_14D5, 0x336A_92DE),
    (0x3F8A_D4C6, 0x330A_58E5), (0x3F8B_95C2, 0xB260_ABA1), (0x3F8C_57CA, 0xB2EE_6E43),
    (0x3F8D_1ADF, 0x3336_FCB7), (0x3F8D_DF04, 0x3280_8B9A), (0x3F8E_A43A, 0xB369_7465),
    (0x3F8F_6A81, 0x323F_3647), (0x3F90_31DC, 0x3306_28CD), (0x3F90_FA4D, 0xB368_2237),
    (0x3F91_C3D3, 0x3367_5624), (0x3F92_8E72, 0x337B_2A64), (0x3F93_5A2B, 0x32BC_4F9C),
    (0x3F94_26FF, 0x31FA_B1C0), (0x3F94_F4F0, 0xB32E_0212), (0x3F95_C3FF, 0xB372_5267),
    (0x3F96_942D, 0x32DC_8061), (0x3F97_657D, 0x3313_E2F5), (0x3F98_37F0, 0x3323_1B71),
    (0x3F99_0B88, 0xB26C_C9F4), (0x3F99_E046, 0xB359_BE90), (0x3F9A_B62B, 0xB0DA_C01E),
    (0x3F9B_8D3A, 0xB30C_5563), (0x3F9C_6573, 0x3350_5D86), (0x3F9D_3EDA, 0xB331_A601),
    (0x3F9E_196E, 0x3244_EA39), (0x3F9E_F532, 0x3341_2342), (0x3F9F_D228, 0x3295_9003),
    (0x3FA0_B051, 0x31FB_9715), (0x3FA1_8FAF, 0xB2D5_EAED), (0x3FA2_7043, 0x30C3_125A),
    (0x3FA3_520F, 0x3351_D005), (0x3FA4_3516, 0xB323_EC33), (0x3FA5_1958, 0xB372_82C2),
    (0x3FA5_FED7, 0xB32C_9D5E), (0x3FA6_E595, 0xB2C0_445E), (0x3FA7_CD94, 0xB316_2D36),
    (0x3FA8_B6D5, 0x3233_D990), (0x3FA9_A15B, 0xB316_2B08), (0x3FAA_8D26, 0x3325_D921),
    (0x3FAB_7A3A, 0xB314_AD82), (0x3FAC_6897, 0xB336_8380), (0x3FAD_583F, 0xB22D_EAF6),
    (0x3FAE_4934, 0x3325_946B), (0x3FAF_3B79, 0xB325_2DEB), (0x3FB0_2F0E, 0xB2D1_247F),
    (0x3FB1_23F6, 0xB37C_5AA8), (0x3FB2_1A32, 0xB333_33CE), (0x3FB3_11C4, 0x3215_4889),
    (0x3FB4_0AAF, 0xB33B_3569), (0x3FB5_04F3, 0x32CF_E77A), (0x3FB6_0094, 0xB32F_4254),
    (0x3FB6_FD92, 0xB266_B974), (0x3FB7_FBF0, 0xB2D5_CD70), (0x3FB8_FBAF, 0x330E_C5F7),
    (0x3FB9_FCD2, 0x330A_5817), (0x3FBA_FF5B, 0xB31B_D983), (0x3FBC_034A, 0x337D_E5D4),
    (0x3FBD_08A4, 0xB341_4FE8), (0x3FBE_0F68, 0x3198_6099), (0x3FBF_179A, 0xB313_0B1A),
    (0x3FC0_213B, 0xB33C_1E5F), (0x3FC1_2C4D, 0xB2D6_663E), (0x3FC2_38D2, 0x32C4_78F6),
    (0x3FC3_46CD, 0xB297_6DA2), (0x3FC4_563F, 0xB2CE_B32D), (0x3FC5_672A, 0x320A_A837),
    (0x3FC6_7991, 0xB314_ABB7), (0x3FC7_8D75, 0xB2DD_5119), (0x3FC8_A2D8, 0x3339_1FFC),
    (0x3FC9_B9BE, 0xB373_23A2), (0x3FCA_D226, 0x333C_8521), (0x3FCB_EC15, 0xB006_C6C2),
    (0x3FCD_078C, 0xB373_5F84), (0x3FCE_248C, 0x3228_FC24), (0x3FCF_4319, 0xB2C3_9B9C),
    (0x3FD0_6334, 0xB294_4353), (0x3FD1_84DF, 0x3344_A2D3), (0x3FD2_A81E, 0xB35C_1DAA),
    (0x3FD3_CCF1, 0xB34C_F4CA), (0x3FD4_F35B, 0xB328_6024), (0x3FD6_1B5E, 0xB030_3219),
    (0x3FD7_44FD, 0xB2D4_A58A), (0x3FD8_7039, 0x3318_DB66), (0x3FD9_9D16, 0xB2F6_1D41),
    (0x3FDA_CB94, 0x335E_5594), (0x3FDB_FBB8, 0xB350_4A1C), (0x3FDD_2D82, 0xB375_EF9B),
    (0x3FDE_60F5, 0xB37B_43E3), (0x3FDF_9613, 0xB285_1C3F), (0x3FE0_CCDF, 0xB21E_AB59),
    (0x3FE2_055B, 0xAC3E_164C), (0x3FE3_3F89, 0x3365_7D15), (0x3FE4_7B6D, 0xB33F_9185),
    (0x3FE5_B907, 0xB244_1BE6), (0x3FE6_F85B, 0xB32A_23C0), (0x3FE8_396A, 0x3320_7898),
    (0x3FE9_7C38, 0x3300_D89F), (0x3FEA_C0C7, 0xB241_16DE), (0x3FEC_0719, 0xB313_67C7),
    (0x3FED_4F30, 0x3276_CCA1), (0x3FEE_9910, 0xB34F_E4BA), (0x3FEF_E4BA, 0xB348_464A),
    (0x3FF1_3231, 0xB330_A5ED), (0x3FF2_8177, 0x32F1_67FF), (0x3FF3_D290, 0xB287_1670),
    (0x3FF5_257D, 0x3229_2436), (0x3FF6_7A41, 0x3358_E67F), (0x3FF7_D0DF, 0x3366_15A2),
    (0x3FF9_295A, 0xB309_4457), (0x3FFA_83B3, 0xB292_3758), (0x3FFB_DFED, 0x3359_CBE1),
    (0x3FFD_3E0C, 0x31CF_486C), (0x3FFE_9E11, 0x3338_F71F),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Arguments and results of the steps in NumPy, among them some that are not correctly rounded.
    #[rustfmt::skip]
    const KNOWN: &[(u32, u32)] = &[
        (0xC135_E50D, 0x3741_DAF2), (0x429D_E1B2, 0x786C_CC72), (0xC28D_22C2, 0x0C92_39F8),
        (0x4242_6B5A, 0x628B_4A6C), (0xC2A0_D12B, 0x057F_1DC0), (0x4285_F7AA, 0x6FC7_100D),
        (0xBF3B_CC43, 0x3EF5_DAB4), (0xC0A5_9319, 0x3BB9_7D77), (0xC281_91DA, 0x10B9_7D58),
        (0x429B_DA90, 0x77AB_D0F9), (0x4247_EBCA, 0x6389_C904), (0xC2A8_AB89, 0x02A0_ED8D),
        (0xC151_F777, 0x3606_24C0), (0x4225_1CB3, 0x5D3B_9C8A), (0xC278_A265, 0x12A0_3E12),
        (0x4197_C69E, 0x4D25_82CE), (0x42A7_208E, 0x7BBC_48BA), (0x40D3_F58E, 0x443C_2F9A),
        (0x4209_7DA2, 0x5840_943C), (0x40C4_F79F, 0x43EB_9642), (0x4266_B7D6, 0x6914_76BF),
        (0x41FA_5B48, 0x560D_E126), (0xC295_8CC4, 0x098B_59C0), (0xC248_A8BA, 0x1B45_BFF0),
        (0xC28C_E119, 0x0CA6_3C01), (0xC232_F807, 0x1F2E_EDF1), (0x424C_DDDC, 0x646D_35C0),
        (0x415F_7B12, 0x498E_1D50), (0xC289_FF0B, 0x0DAF_ABFC), (0xC135_E50D, 0x3741_DAF2),
        (0xC063_EC00, 0x3CE8_AC4A), (0xC267_60A6, 0x15BB_2B2E), (0x421F_8331, 0x5C39_1308),
    ];

    #[test]
    fn results_are_those_of_the_steps() {
        for (x, expected) in KNOWN {
            let found = exp(f32::from_bits(*x)).to_bits();
            assert_eq!(found, *expected, "{:e}", f32::from_bits(*x));
        }
    }

    #[test]
    fn results_are_within_a_unit_in_the_last_place() {
        for step in -20_000..=20_000 {
            let x = step as f32 * 0.0044;
            let exact = f64::from(x).exp() as f32;
            assert!(exp(x).to_bits().abs_diff(exact.to_bits()) <= 1, "{x}");
        }
    }

    #[test]
    fn powers_are_in_two_parts() {
        for (index, (high, low)) in POWERS.iter().enumerate() {
            let sum = f64::from(f32::from_bits(*high)) + f64::from(f32::from_bits(*low));
            let exact = (index as f64 / 128.0).exp2();
            assert!((sum - exact).abs() < 1e-14, "{index}");
        }
    }

    #[test]
    fn odd_arguments_do_no_harm() {
        assert!(exp(f32::NAN).is_nan());
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-0.0), 1.0);
        assert_eq!(exp(100.0), f32::INFINITY);
        assert!(exp(-100.0) > 0.0 && exp(-LIMIT).is_normal());
    }
}
