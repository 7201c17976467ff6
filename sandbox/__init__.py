"""A local portal that speaks Bitrix24's REST: people, CRM, tasks, calls, automation, applications, limits."""
