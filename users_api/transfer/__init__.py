"""Export and import of users as files: CSV or JSON Lines, with the rules of the document."""
