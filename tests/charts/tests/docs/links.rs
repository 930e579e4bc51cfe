//! Links between pages lead somewhere.

use crate::page::{Page, all, root};

/// The targets of a page's links, but for those into the world.
fn targets(page: &Page) -> Vec<String> {
    let prose = page.prose();
    // What stands in backticks is no link, such as a pattern.
    let words: String = prose.split('`').step_by(2).collect();
    let targets = words.split("](").skip(1);
    let targets = targets.filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://"))
        .map(ToOwned::to_owned)
        .collect()
}

/// The anchors of a page's titles, as GitHub makes them.
fn anchors(page: &Page) -> Vec<String> {
    let titles = page.prose();
    let titles = titles.lines().filter(|line| line.starts_with('#'));
    let anchor = |title: &str| {
        let kept = title.trim_start_matches('#').trim().chars();
        let kept = kept.filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| match c {
            ' ' => '-',
            c => c.to_ascii_lowercase(),
        })
        .collect()
    };
    titles.map(anchor).collect()
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    let mut broken = vec![];
    let mut count = 0;
    for page in all() {
        let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in targets(&page) {
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = match file {
                "" => page.path.clone(),
                file => format!("{folder}/{file}")
                    .trim_start_matches('/')
                    .to_owned(),
            };
            let leads = root().join(&path).exists()
                && (anchor.is_empty() || anchors(&Page::read(&path)).iter().any(|a| a == anchor));
            if !leads {
                broken.push(format!("{}: {target}", page.path));
            }
        }
    }
    assert!(count > 10, "only {count} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}
