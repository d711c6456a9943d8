"""record_batch"""
