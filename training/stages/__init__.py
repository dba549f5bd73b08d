"""What a training method is made of: the law of a stage, and the stages that there
are.
"""
