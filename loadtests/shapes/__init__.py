"""How many users when: ramp, spike and soak, over --users and --run-time (5 minutes by default).

    ramp    ten even steps up to all of them: where does it bend?
    spike   a fifth of them, all of them from 40 % to 60 % of the run, a fifth: does it recover?
    soak    all of them after a twentieth of the run, to its end: does anything drift?

Reading order: users_at.py (plain arithmetic), over_time.py (what locust asks).
"""
