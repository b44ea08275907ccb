//! The files in docs/examples/, and what docs/extending.md says of them.

mod common;

use common::{Ended, ended_in};
use std::path::Path;

/// A question asked at the root of the repository, as the chapter has it.
fn asked(arguments: &str) -> Ended {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let chapter = include_str!("../../docs/extending.md").replace("\\\n", " ");
    let line = chapter
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .find(|line| *line == format!("check {arguments}"));
    let line = line.unwrap_or_else(|| panic!("the chapter has no `check {arguments}`"));
    let arguments: Vec<&str> = line.split(' ').skip(1).collect();
    ended_in(&root, &arguments)
}

const MIGRATE: &str = "--module docs/examples/relocate.toml --kernel docs/examples/migrate.toml";

#[test]
fn a_leaf_of_ones_own_is_asked_about_by_a_short_file() {
    let matrix = asked(&format!("matrix {MIGRATE}"));
    assert_eq!(matrix.status, Some(0), "{}", matrix.err);
    assert!(
        matrix.out.contains("TDH.MEM.PAGE.RELOCATE"),
        "{}",
        matrix.out
    );
    let locked = asked(&format!("what-if {MIGRATE} --with migrate"));
    assert_eq!(locked.status, Some(0), "{}", locked.out);
    let free = asked(&format!(
        "what-if {MIGRATE} --with migrate --drop mmu_lock@migrate"
    ));
    assert_eq!(free.status, Some(10), "{}", free.err);
    assert!(free.out.contains("violated 8"), "{}", free.out);
    assert!(
        free.out.contains("acquire SEPT_TREE shared"),
        "{}",
        free.out
    );
}

const MEASURE: &str = "--with KVM_TDX_INIT_MEM_REGION:measure --vcpus 0 --pages 2 --set inodes=2 \
                       --set finalized=false --property no-bug-on";
const LOCKED: &str = "docs/examples/extend-locked.toml";

#[test]
fn a_variant_of_a_kernel_is_asked_about_by_a_short_file() {
    let before = asked(&format!("what-if --kernel 6.19 {MEASURE}"));
    assert_eq!(before.status, Some(10), "{}", before.err);
    let after = asked(&format!("what-if --kernel {LOCKED} {MEASURE}"));
    assert_eq!(after.status, Some(0), "{}", after.out);
    let sweep = asked(&format!("sweep --kernel {LOCKED}"));
    assert!(sweep.out.contains("TDH.MR.FINALIZE"), "{}", sweep.out);
    assert!(!sweep.out.contains("TDH.MR.EXTEND"), "{}", sweep.out);
}

#[test]
fn the_chapter_shows_every_example() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples");
    let chapter = include_str!("../../docs/extending.md");
    for entry in std::fs::read_dir(examples).expect("there") {
        let name = entry.expect("readable").file_name();
        let name = format!("(examples/{})", name.to_string_lossy());
        assert!(chapter.contains(&name), "{name}");
    }
}

/// The block of docs/tables.md that begins with this line, without its indent.
fn block(begins: &str) -> String {
    let chapter = include_str!("../../docs/tables.md");
    let lines = chapter
        .lines()
        .skip_while(|line| *line != format!("    {begins}"));
    let lines = lines.take_while(|line| line.starts_with("    "));
    lines.map(|line| format!("{}\n", &line[4..])).collect()
}

#[test]
fn the_rows_in_the_chapter_on_tables_give_what_it_says() {
    let directory = common::scratch("rows-of-the-chapter");
    let (leaf, path) = (block("[[leaf]]"), block("[[path]]"));
    let table =
        format!("name = \"mine\"\ntitle = \"a leaf more\"\nleaves_as = \"1.5.05\"\n\n{leaf}");
    let exclusive = table.replace(r#""TDR", mode = "shared""#, r#""TDR", mode = "exclusive""#);
    assert_ne!(table, exclusive);
    let kernel = format!(
        "name = \"mine\"\ntitle = \"a path more\"\npaths_as = \"6.16\"\ndecisions_as = \"6.16\"\n\n{path}"
    );
    for (name, text) in [
        ("shared.toml", &table),
        ("exclusive.toml", &exclusive),
        ("kernel.toml", &kernel),
    ] {
        std::fs::write(directory.join(name), text).expect("writable");
    }
    let asked = |module: &str| {
        let question = ["what-if", "--module", module, "--kernel", "kernel.toml"];
        ended_in(
            &directory,
            &[&question[..], &["--with", "KVM_TDX_WRITE_METADATA"]].concat(),
        )
    };
    let chapter = include_str!("../../docs/tables.md");
    let (shared, exclusive) = (asked("shared.toml"), asked("exclusive.toml"));
    assert_eq!(shared.status, Some(0), "{}{}", shared.out, shared.err);
    assert!(shared.out.contains("7 113 states") && chapter.contains("7 113 states"));
    assert!(exclusive.out.contains("violated 8") && chapter.contains("after 8 transitions"));
}
