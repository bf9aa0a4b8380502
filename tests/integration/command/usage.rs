//! Arguments that make no sense.

use super::*;

#[test]
fn bad_usage_is_one_line_that_names_the_option() {
    let bad: &[&[&str]] = &[
        &["--nonsense"],
        &["-x"],
        &["--method", "magic"],
        &["--method"],
        &["--distance", "cosine"],
        &["--clusters", "0"],
        &["--clusters", "-1"],
        &["--clusters", "two"],
        &["--threshold", "NaN"],
        &["--threshold", "-1"],
        &["--threshold=1", "--clusters=2"],
        &["--linkage", "nearest"],
        &["--stage", "late"],
        &["--lambda", "inf"],
        &["--lambda", ""],
        &["--score", "mean"],
        &["--threads", "0"],
        &["--threads", "1.5"],
        &["--format", "yaml"],
        &["--truth"],
        &["--strict=yes"],
        &["--ranks", "mean", "--distance=rank"],
        &["--tolerance", "median:2", "--distance=rank"],
        &["--tolerance", "absolute:-1", "--distance=rank"],
        &["--tolerance", "gavish-donoho"],
        &["--ranks", "sum"],
    ];
    for arguments in bad {
        let run = recover(*arguments);
        let option = arguments[0].split('=').next().unwrap();
        run.assert_failed(2, &["recover: ", option]);
        assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn bad_usage_is_found_before_any_model_is_read() {
    recover(["/nowhere", "--format=yaml"]).assert_failed(2, &["--format"]);
}

#[test]
fn help_lists_every_option_of_the_contract() {
    for option in ["-h", "--help"] {
        let run = recover([option, "--format=yaml"]);
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
        for option in [
            "MODEL",
            "--method",
            "--distance",
            "--clusters",
            "--threshold",
            "--linkage",
            "--stage",
            "--lambda",
            "--layers",
            "--score-layers",
            "--threads",
            "--format",
            "--truth",
            "--strict",
        ] {
            assert!(run.stdout.contains(&format!("\n  {option} ")), "{option}");
        }
    }
}
