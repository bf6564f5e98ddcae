"""What pages share: lists, searches, messages, types; and the pages that belong to no app."""
