"""Review pages to look at, and the browser that shows them."""
