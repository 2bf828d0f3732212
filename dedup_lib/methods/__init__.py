"""How a plan is applied: rewrite, clone, in place, or only what is new."""
