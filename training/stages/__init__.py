"""The interface of a stage, and the stages that training methods are made of."""
