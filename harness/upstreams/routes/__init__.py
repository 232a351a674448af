"""What fakes answer beyond the catalog: routes of a scenario, and readers of formats that teams have already."""
