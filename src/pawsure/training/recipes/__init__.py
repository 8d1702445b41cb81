"""The recipes on board, one TOML file each."""
