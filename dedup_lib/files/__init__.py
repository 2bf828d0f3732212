"""What the formats of plain files share: files are rewritten one by one, and published."""
