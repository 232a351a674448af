"""What fakes answer beyond the catalog: routes written in a scenario, and readers of formats that teams have already."""
