"""Every text that the page shows, in English; one class for each part of it."""


class Page:
    """Around both tabs."""

    title = 'fer_ros dashboard'
    live = 'Live'
    video = 'Video'
    theme = 'Switch between light and dark'
    skip = 'Skip to content'


class Login:
    """The page that asks for the access token."""

    heading = 'fer_ros dashboard'
    token = 'Access token'
    submit = 'Open'
    hint = 'Whoever started the dashboard knows it.'
    wrong = 'This is not the access token.'
    too_many = 'Too many attempts: wait {seconds} s.'
    opened = 'Open the dashboard'


class Refused:
    """Answers to requests that are not let in."""

    host = ('Refused: this dashboard does not answer to the name {host}. Use its IP address, or add the name to the '
            'parameter allowed_hosts.')
    origin = 'Refused: the request comes from another page.'
    token = 'Refused: open the page and enter the access token first.'
    body = 'Refused: more than {megabytes} MB.'
