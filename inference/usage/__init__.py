"""How models are used: counted in memory, added to a table, shown and measured."""
