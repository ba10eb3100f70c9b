"""Who may do what, and which data may go where: Cedar policies as files, with tests beside them.

decisions.py   the port that the tiers depend on, and what it answers
engine.py      decides, on Cedar
files.py       the files of a policy set, and the statements within
facts.py       what the engine tells Cedar of people, workflows, models and records
retention.py   how long what a run leaves behind is kept
cases.py       the tests that stand beside the policies
policies/      the set that counts unless a home brings its own
"""
