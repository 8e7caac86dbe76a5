# docs/: specifications, architecture, man pages, examples.
