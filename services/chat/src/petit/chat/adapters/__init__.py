"""Where rows are kept, and how progress travels between replicas."""
