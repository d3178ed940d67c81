"""SaladCloud's public API as a tenant sees it: GPU classes, container groups, silent moves."""
