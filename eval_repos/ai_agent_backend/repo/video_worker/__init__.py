"""Renders the job files of the API."""
