"""Every text that the page shows, in English; one class for each part of it."""

from fer_ros.diagnostic_keys import RATE_PERIOD


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


class Video:
    """The tab Video."""

    choose = 'Read the faces in a video'
    upload = 'Choose a video file'
    clip = 'Take the built-in clip'
    clip_name = 'Built-in clip'
    hint = ('Or drop a file here. Up to {megabytes} MB and {minutes:g} minutes. The video stays on the machine that '
            'serves this page and is removed when it has been read.')
    too_large = ''
    progress = 'Progress'
    cancel = 'Cancel'
    state_uploading = 'Uploading: {percent} %'
    state_waiting = 'Waiting for another video to be finished'
    state_starting = 'Starting'
    state_running = 'Reading faces: {percent} %, {frames} frames'
    left = '– about {time} left'
    interrupted = 'The upload was interrupted. Is the file too large, or the connection lost?'
    picture = 'Picture of the video with its faces'
    faces = 'Faces in this frame'
    away = 'not here'
    nobody = 'No face was seen for half a second or longer.'
    line = 'Valence over time'
    smoothed = 'thick: smoothed'
    raw = 'thin: raw'
    chart = 'Valence of each face over the length of the video'
    positive = 'positive'
    neutral = 'neutral'
    negative = 'negative'
    seconds_axis = 'seconds from the start'
    play = 'Play'
    pause = 'Pause'
    position = 'Position in the video'
    keys = 'Drag along the line, or: Space plays and pauses, ← → go by frame, with Shift by second, Home and End.'
    downloads = 'Downloads'
    csv = 'CSV'
    png = 'Picture (PNG)'
    mp4 = 'Annotated video (MP4)'
    another = 'Another video'
    kept = ('The results are removed when you choose another video, after {minutes} minutes, or {away} minutes after '
            'the page was closed.')


class VideoErrors:
    """Why a video is not taken, or its reading ended early."""

    too_large = 'The file is too large: at most {megabytes} MB are taken. A shorter or smaller video will do.'
    empty = 'The file is empty.'
    not_video = ('This is not a video file. MP4, MOV, Matroska, WebM, AVI, MPEG, Ogg, FLV and WMV are taken, known by '
                 'their content.')
    upload_stopped = 'The upload stopped half-way. Try again.'
    disk = 'This machine has not enough free disk space for the video and its results.'
    no_cookie = 'Your browser must accept cookies from this page; reload it and try again.'
    cancelled = 'The upload was cancelled.'
    nothing = 'There is no such video here.'
    full = 'There are already as many videos as this machine takes at a time: {count}. Try again later.'
    busy = 'A video of yours is already being read. Cancel it first.'
    unreadable = 'The video cannot be read: it is damaged, incomplete or of a kind that this machine cannot decode.'
    resolution = 'The pictures of {width}×{height} pixels are too large: at most {pixels} pixels are taken.'
    length = 'The video is longer than {seconds:g} s. process_video reads recordings of any length.'
    frames = 'The video has more than {frames} frames. process_video reads recordings of any length.'
    time = 'Reading the video took longer than {seconds:g} s and was ended.'
    memory = 'Reading the video took more than {megabytes} MB of memory and was ended.'
    model = 'Emotions cannot be read on this machine: {problem}'
    died = 'The process that read the video died: the video may be damaged. Nothing of it was kept.'


class Connection:
    """Whether results come, and what is wrong when none do."""

    good = 'Receiving'
    waiting = 'Waiting for the first result'
    trouble = 'Receiving, with a warning'
    no_node = 'The node fer does not run: no publisher on {topic}'
    inactive = 'The node fer is {state}'
    no_image = 'No image for {seconds} s on {topic}: {count} publishers'
    no_image_1 = 'No image for {seconds} s on {topic}: 1 publisher'
    silence = 'No result for {seconds} s'


class Live:
    """The tab Live."""

    heading_picture = 'Camera'
    heading_face = 'Face'
    heading_line = 'Valence'
    heading_status = 'Status'
    picture = 'Camera image with the faces found'
    no_picture = 'No picture yet'
    no_picture_but_faces = 'No picture comes. Is the parameter annotated of the node fer true?'
    paused = 'Paused'
    lost = 'The dashboard does not answer. Trying again …'
    back = 'Connected again.'
    chart = 'Valence of each face over the last {seconds} seconds'
    seconds_axis = 'seconds before now'
    smoothed = 'thick: smoothed'
    raw = 'thin: each frame alone'
    positive = 'positive'
    neutral = 'neutral'
    negative = 'negative'
    choose = 'Whose emotion is shown'
    primary = 'Primary face'
    nobody = 'No face in sight'
    no_primary = 'No primary face at the moment'
    chosen_away = '{face} is not in sight'
    valence = 'Valence'
    raw_valence = 'Raw'
    probabilities = 'Probabilities'
    rate = 'Results'
    rate_unit = 'frames/s'
    latency = 'Latency'
    dropped = 'Dropped'
    dropped_unit = f'in {RATE_PERIOD:g} s'
    device = 'Device'
    unknown = '–'
    actions = 'Actions'
    pause = 'Pause'
    go_on = 'Go on'
    record = 'Record'
    stop = 'Stop'
    recording = 'Recording: {time}, {rows} rows'
    recorded = 'Recorded: {time}, {rows} rows'
    recording_full = 'Recorded: {time}, {rows} rows. It ended because it reached its largest size.'
    download = 'Download CSV'
    delete = 'Delete recording'
    calibrate = 'Calibrate neutral face'
    calibrating = 'Look at the camera with a resting face for two seconds …'
    reset = 'Reset calibration'
    clear = 'Clear lines'
    cleared = 'The lines were forgotten.'
    webcam = 'Webcam of this machine'
    webcam_start = 'Start {device}'
    webcam_stop = 'Stop webcam'
    webcam_running = 'The webcam is being read.'
    webcam_busy = 'Another camera publishes on {topic} already: stop it first.'
    webcam_problem = 'The webcam ended: {problem}'
    no_service = 'The node fer does not answer. Does it run?'
    shortcuts = 'Keyboard'
    shortcut_list = (
        ('0', 'show the primary face'),
        ('1 to 9', 'show that face of the list'),
        ('P', 'pause and go on'),
        ('R', 'start and stop recording'),
        ('C', 'clear the lines'),
    )
