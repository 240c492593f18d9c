"""Who may: people, projects, what is needed for what, and how somebody proves who they are."""
