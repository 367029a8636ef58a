"""The camera of a visitor: of the browser, not of the robot."""
