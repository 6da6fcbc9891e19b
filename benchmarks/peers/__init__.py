"""The peers' programs, each as its own documents say. They run in environments of their own, without Pushlane."""
