"""Everything that knows Bitrix24's wire: names, types, limits, tokens, errors."""
