"""Acts. Loads a view, decides in the core, applies effects, observes again."""
