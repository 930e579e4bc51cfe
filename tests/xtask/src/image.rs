//! `cargo xtask image`: the container image of the host, where something is there that builds images.
//!
//! Nothing else in this repository needs one of these programs.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{process, workspace::Workspace};

/// What builds images, in the order in which it is looked for: the first two need no daemon.
const BUILDERS: [&str; 3] = ["buildah", "podman", "docker"];

/// The recipe, from the root of the repository.
const RECIPE: &str = "host/Containerfile";

/// What `cargo xtask image` is asked for.
#[derive(Args)]
pub(crate) struct Options {
    /// What the image is called; otherwise as the chart's values have it
    #[arg(long, value_name = "NAME:TAG")]
    tag: Option<String>,
    /// The image that it is built in, in the place of the recipe's
    #[arg(long, value_name = "IMAGE")]
    builder: Option<String>,
    /// The image that it is put upon, in the place of the recipe's
    #[arg(long, value_name = "IMAGE")]
    base: Option<String>,
    /// Push it to where its name says
    #[arg(long, requires = "tag")]
    push: bool,
}

/// Builds the image, and pushes it where that is asked for.
///
/// # Errors
///
/// When nothing is there that builds images, or it fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = Workspace::ours()?.root;
    let tag = match &options.tag {
        Some(tag) => tag.clone(),
        None => of_the_chart(&root)?,
    };
    let builder = chosen(works)?;
    process::run(&mut build(builder, &root, &tag, options))?;
    println!("built {tag} with {builder}");
    if options.push {
        process::run(Command::new(builder).args(["push", &tag]))?;
        println!("pushed {tag}; pin it in the chart's values by the digest that was told");
    }
    Ok(())
}

/// The first builder that works.
fn chosen(works: impl Fn(&str) -> Result<()>) -> Result<&'static str> {
    let mut reasons = String::new();
    for builder in BUILDERS {
        match works(builder) {
            Ok(()) => return Ok(builder),
            Err(error) => reasons.push_str(&format!("\n  {builder}: {error:#}")),
        }
    }
    bail!(
        "there is nothing that builds images. Install buildah or podman, or docker with its daemon; nothing but this \
         command needs one. Tried:{reasons}"
    )
}

/// Whether a builder can build: docker is only a messenger, and its daemon may not be there.
fn works(builder: &str) -> Result<()> {
    let question = match builder {
        "buildah" => "version",
        _ => "info",
    };
    process::output(Command::new(builder).arg(question)).map(drop)
}

/// The command that builds.
fn build(builder: &str, root: &Path, tag: &str, options: &Options) -> Command {
    let mut command = Command::new(builder);
    command
        .args(["build", "--tag", tag, "--file"])
        .arg(root.join(RECIPE));
    let arguments = [("BUILDER", &options.builder), ("BASE", &options.base)];
    for (name, image) in arguments {
        if let Some(image) = image {
            command.args(["--build-arg", &format!("{name}={image}")]);
        }
    }
    command.arg(root);
    command
}

/// What the chart calls the image.
fn of_the_chart(root: &Path) -> Result<String> {
    let path = root.join("charts/backupstrategy-controller/values.yaml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("could not read {}", path.display()))?;
    let image = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("image:"));
    let image = image.with_context(|| format!("{} names no image", path.display()))?;
    Ok(image.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Options = Options {
        tag: None,
        builder: None,
        base: None,
        push: false,
    };

    #[test]
    fn the_first_builder_that_works_is_taken() -> Result<()> {
        assert_eq!(chosen(|_| Ok(()))?, "buildah");
        let only_docker = |builder: &str| match builder {
            "docker" => Ok(()),
            _ => bail!("could not start it"),
        };
        assert_eq!(chosen(only_docker)?, "docker");
        Ok(())
    }

    #[test]
    fn where_none_works_it_is_said_what_to_install_and_why_each_does_not() {
        let error = chosen(|builder| bail!("no {builder} today")).err();
        let said = error.map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("Install buildah or podman"), "{said}");
        assert!(said.contains("docker: no docker today"), "{said}");
    }

    #[test]
    fn images_that_are_given_take_the_place_of_the_recipes() {
        let options = Options {
            base: Some("base@sha256:0f".to_owned()),
            ..PLAIN
        };
        let command = build("podman", Path::new("/r"), "host:1", &options);
        assert_eq!(
            process::line(&command),
            "podman build --tag host:1 --file /r/host/Containerfile --build-arg BASE=base@sha256:0f /r"
        );
    }

    #[test]
    fn the_chart_names_the_image() -> Result<()> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let image = of_the_chart(&root)?;
        assert!(image.contains("backupstrategy-controller"), "{image}");
        Ok(())
    }
}
