"""A reference aggregator: one question for offers becomes one call to each backend, and one answer.

It is the service of the story (one slow backend, and every request ends in a 504) in several rungs, from
the bug to its remedies. It knows nothing of the harness that tests it, and stands alone:

    AGGREGATOR_BACKENDS="azure=http://127.0.0.1:9001,gcp=http://127.0.0.1:9002" \\
        python -m aggregator --rung timeout --port 8000
    curl 'http://127.0.0.1:8000/v1/offers?gpu=A100&backend=gcp&max_price=12&limit=5'
"""
