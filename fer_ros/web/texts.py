"""Every text that the page shows, in English; one class for each part of the page."""

from fer_ros.diagnostic_keys import RATE_PERIOD


class Page:
    """Around both tabs."""

    title = 'fer_ros dashboard'
    live = 'Live'
    video = 'Video'
    theme = 'Switch between light and dark'
    skip = 'Skip to content'


class HiddenFaces:
    """How faces are hidden in images, by the value of the parameter hide_faces."""

    none = ''
    blur = 'Faces that are found are blurred in the images.'
    cover = 'Faces that are found are covered in the images.'


class Login:
    """The page that asks for the access token."""

    heading = 'fer_ros dashboard'
    token = 'Access token'
    submit = 'Open'
    hint = 'It was set by the person who started the dashboard.'
    wrong = 'This is not the access token.'
    too_many = 'This is not the access token. After many attempts each one takes longer for {seconds} s.'
    opened = 'Open the dashboard'


class Refused:
    """Responses to rejected requests."""

    host = ('Rejected: this dashboard is not served under the name {host}. Use its IP address, or add the name to '
            'the parameter allowed_hosts.')
    origin = 'Rejected: the request comes from another page.'
    token = 'Rejected: open the page and enter the access token first.'
    body = 'Rejected: more than {megabytes} MB.'
    slow = 'Rejected: the request arrived too slowly. Try again, over a faster connection.'
    address = 'Rejected: the address is too long.'
    crowded = 'Rejected: too many connections. Close other windows of the dashboard, or try again later.'


def texts_of(part: type) -> dict[str, object]:
    """The texts of a class, with those that it inherits, by their names."""
    return {name: getattr(part, name) for name in dir(part) if not name.startswith('_')}


class Session:
    """Markers and summary, of a video and of the live view."""

    markers = 'Markers'
    marker_new = 'Marker'
    marker_text = 'Text of the marker at {time}'
    marker_save = 'Set'
    marker_cancel = 'Cancel'
    marker_none = 'None yet.'
    marker_remove = 'Remove the marker at {time}'
    summary_heading = 'Summary'
    person = 'Person'
    all_faces = 'all faces'
    seen = 'Seen'
    mean = 'Mean valence ± spread'
    longest_positive = 'Longest positive'
    longest_negative = 'Longest negative'
    stretch = '{length} s from {start}'
    quality = 'Quality'
    unusable = 'Too poor'
    per_emotion = 'Share of the time per emotion and group'
    group = '{group} (group)'
    session_text = ('{duration}, {frames} frames; without a face {without} of the time. Faces seen for a moment '
                    'only: {short}.')


class Video(Session):
    """The tab Video."""

    choose = 'Analyse the faces in a video'
    upload = 'Choose a video file'
    clip = 'Use the built-in clip'
    clip_name = 'Built-in clip'
    rotate = 'Turn clockwise'
    rotate_by = '{degrees}°'
    hint = ('Or drop a file here, up to {megabytes} MB and {minutes:g} minutes. The video stays on the machine that '
            'serves this page and is removed after the analysis.')
    too_large = ''
    progress = 'Progress'
    cancel = 'Cancel'
    state_uploading = 'Uploading: {percent} %'
    state_waiting = 'Waiting for another video to finish'
    state_starting = 'Starting'
    state_running = 'Analysing: {percent} %, {frames} frames'
    left = '– about {time} left'
    interrupted = 'The upload was interrupted. Is the file too large, or the connection lost?'
    picture = 'Frame of the video with its faces'
    faces = 'Faces in this frame'
    away = 'not in this frame'
    nobody = 'No face was seen for half a second or longer.'
    line = 'Valence over time'
    smoothed = 'thick: smoothed'
    raw = 'thin: raw'
    chart = 'Valence of each face over the length of the video'
    summary = '{face}: last {last}, mean {mean}, from {least} to {most}.'
    summary_none = 'No face.'
    positive = 'positive'
    neutral = 'neutral'
    negative = 'negative'
    seconds_axis = 'seconds from the start'
    stop = 'Stop, keep results'
    stopped = 'The analysis was stopped: this is what was analysed until then.'
    follow = 'Follow the analysis'
    legend = 'Lines shown'
    zoom_in = 'Zoom in'
    zoom_out = 'Zoom out'
    zoom_reset = 'Whole length'
    back = 'One frame back'
    forward = 'One frame forward'
    speed = 'Speed'
    speed_by = '{factor}×'
    loop_from = 'Loop from here'
    loop_to = 'Loop to here'
    loop_end = 'End loop'
    frame = 'frame {frame}'
    play = 'Play'
    pause = 'Pause'
    position = 'Position in the video'
    shortcuts = 'Mouse and keyboard'
    keys_on = 'Shortcuts of a single key'
    shortcut_list = (
        ('drag', 'go to a moment'),
        ('wheel', 'zoom; with Shift, move the part that is seen'),
        ('Space', 'play and pause'),
        ('← →', 'one frame back or forward, with Shift one second'),
        ('Home, End', 'first and last frame'),
        ('Page ↑ ↓', 'move the part that is seen'),
        ('+ − 0', 'zoom in, zoom out, whole length'),
        ('< >', 'slower and faster'),
        ('[ ] L', 'loop from here, to here, end the loop'),
        ('M', 'set a marker'),
    )
    marker_go = 'Go to {time}'
    name_of = 'Name of {face}'
    name_hint = 'Faces with the same name are one person.'
    so_far = 'So far:'
    report = 'Report (HTML)'
    json = 'JSON'
    markers_csv = 'Markers (CSV)'
    downloads = 'Downloads'
    csv = 'CSV'
    png = 'Plot (PNG)'
    mp4 = 'Annotated video (MP4)'
    keep_session = 'Keep session'
    session_kept = 'The session is in the list of sessions below.'
    sessions = 'Sessions'
    sessions_memory = 'Line, summary and markers, without images, for this browser until the dashboard exits.'
    sessions_folder = ('Line, summary and markers, without images, for everyone who opens this page, in {folder} of '
                       'the machine that serves it.')
    sessions_choose = 'Choose two sessions to compare them.'
    session_item = '{title}, {when}, {length}'
    session_open = 'Open {title}'
    session_choose = 'Compare {title}'
    session_remove = 'Remove {title}'
    session_forget = 'Remove session'
    compare = 'Compare'
    another = 'Another video'
    replace = 'Remove the results of {name}?'
    replace_hint = 'They are removed from this machine. Download first what you want to keep.'
    remove = 'Remove results'
    keep = 'Keep them'
    kept = ('The results are removed when you choose another video, after {minutes} minutes, or {away} minutes after '
            'the page was closed.')


class VideoErrors:
    """Why a video is rejected, or its analysis stopped."""

    too_large = 'The file is too large: at most {megabytes} MB are accepted. Choose a shorter or smaller video.'
    empty = 'The file is empty.'
    not_video = ('This is not a video file. MP4, MOV, Matroska, WebM, AVI, MPEG, Ogg, FLV and WMV are supported, as '
                 'determined from the content.')
    upload_stopped = 'The upload stalled. Try again.'
    disk = 'This machine has not enough free disk space for the video and its results.'
    no_cookie = 'This page requires cookies: enable them, reload the page and try again.'
    cancelled = 'The upload was cancelled.'
    rotate = 'A video can be turned by 0, 90, 180 or 270 degrees only.'
    nothing = 'There is no such video.'
    moment = 'A marker needs a time within the video.'
    kept = 'There are too many sessions. Remove some first.'
    sessions_dir = 'The session cannot be stored or removed: {problem}'
    notes = 'There are too many markers or names. Remove some first.'
    full = 'This machine already holds the maximum number of videos: {count}. Try again later.'
    results = 'There are results of another of your videos, perhaps in another tab. Remove them first.'
    busy = 'One of your videos is already being analysed. Cancel it first.'
    unreadable = 'The video cannot be decoded: it is damaged, incomplete or in an unsupported format.'
    resolution = 'The frames of {width}×{height} pixels are too large: at most {pixels} pixels are supported.'
    length = 'The video is longer than {seconds:g} s. process_video analyses recordings of any length.'
    frames = 'The video has more than {frames} frames. process_video analyses recordings of any length.'
    time = 'The analysis took longer than {seconds:g} s and was stopped.'
    memory = 'The analysis used more than {megabytes} MB of memory and was stopped.'
    model = 'Emotions cannot be classified on this machine: {problem}'
    died = 'The process that analysed the video died: the video may be damaged. No results were kept.'


class Recordings:
    """What becomes of a live recording."""

    disk = 'This machine has less than {gigabytes:g} GB of free disk space: delete recordings first.'
    folder_problem = ('Recordings cannot be stored: {problem}. The parameter recordings_dir of the dashboard names '
                      'another folder.')
    stopped = 'The recording stopped: {problem}.'
    full = 'The recording stopped at its maximum size.'
    long = 'The recording stopped at its maximum length.'
    disk_full = 'The recording stopped: less than {gigabytes:g} GB of free disk space is left.'
    video_problem = 'The video may be incomplete: {problem}.'
    no_pictures = 'There is no video: no images were received. Is the parameter annotated of the node fer set to true?'


class Hints:
    """What people in front of the camera can do; the tab Live."""

    of_image = (
        ('image too dark', 'Too dark: switch on a light, best in front of you.'),
        ('image overexposed', 'Too bright: step out of the light, or turn windows and lamps away from the camera.'),
        ('faces too small', 'Too far away: move closer to the camera.'),
        ('faces blurred', 'Blurred: hold still, and clean the lens of the camera.'),
        ('faces stand on their side', 'The picture is on its side: turn the camera upright.'),
    )
    """Beginning of each image problem of fer_node, and what it means to people."""
    small = '{face} is too small: move closer to the camera.'
    small_only = 'The face is too small: move closer to the camera.'
    cut = '{face} is cut off by the border of the picture: move to the middle.'
    cut_only = 'The face is cut off by the border of the picture: move to the middle.'
    turned = '{face} is turned away or covered: look towards the camera.'
    turned_only = 'The face is turned away or covered: look towards the camera.'


class Connection:
    """Whether results arrive, and what is wrong if none do."""

    good = 'Receiving'
    waiting = 'Waiting for the first result'
    trouble = 'Receiving, with a warning'
    hinted = 'Receiving, but faces are hard to see'
    no_node = 'The node fer is not running: no publisher on {topic}'
    inactive = 'The node fer is {state}'
    no_image = 'No image for {seconds} s on {topic}: {count} publishers'
    no_image_1 = 'No image for {seconds} s on {topic}: 1 publisher'
    lost = 'Camera lost: no image for {seconds} s on {topic}: {count} publishers'
    lost_1 = 'Camera lost: no image for {seconds} s on {topic}: 1 publisher'
    silence = 'No result for {seconds} s'


class Live(Session):
    """The tab Live."""

    heading_picture = 'Camera'
    heading_face = 'Face'
    heading_line = 'Valence'
    heading_status = 'Status'
    picture = 'Camera image with the faces found'
    no_picture = 'No image yet'
    no_picture_but_faces = 'No images are received. Is the parameter annotated of the node fer set to true?'
    paused = 'Paused'
    paused_detail = 'Nothing on this page changes until you resume; the analysis and the recording go on.'
    old = 'Connection lost: this is what was received last.'
    lost = 'The dashboard does not respond. Reconnecting …'
    back = 'Connected again.'
    chart = 'Valence of each face over the last {seconds} seconds'
    summary = '{face}: last {last}, mean {mean}, from {least} to {most}.'
    summary_none = 'No face.'
    seconds_axis = 'seconds before now'
    ago = '{seconds} s ago'
    smoothed = 'thick: smoothed'
    raw = 'thin: raw'
    positive = 'positive'
    neutral = 'neutral'
    negative = 'negative'
    choose = 'Face shown'
    primary = 'Primary face'
    nobody = 'No face in view'
    no_primary = 'The primary face is not in this frame. Choose a face above, or wait until another becomes primary.'
    chosen_away = '{face} is not in view'
    chosen_away_detail = 'A face that comes back after a while has a new id: choose it above.'
    away = 'away'
    valence = 'Valence'
    raw_valence = 'Raw'
    probabilities = 'Probabilities'
    rate = 'Results'
    rate_unit = 'frames/s'
    latency = 'Latency'
    dropped = 'Dropped'
    dropped_unit = f'in {RATE_PERIOD:g} s'
    details = 'Technical details'
    warning = 'Warning'
    hints = 'How to be seen better'
    quality = 'Quality'
    device = 'Device'
    runtime = 'Runtime'
    model = 'Network'
    left_out = 'Invalid values left out'
    calibrated = 'Calibrated faces'
    none = 'none'
    unknown = '–'
    actions = 'Actions'
    pause = 'Pause'
    go_on = 'Resume'
    record = 'Record'
    stop = 'Stop'
    with_video = 'with video'
    recording = 'Recording: {time}, {rows} rows, {megabytes} MB'
    recording_video = 'Recording: {time}, {rows} rows, {pictures} images, {megabytes} MB'
    recording_lost = '{count} results are missing, since the disk is too slow.'
    finishing = 'Completing the recording …'
    recordings = 'Recordings'
    recording_shared = ('Recordings are shared by all browsers: everyone who opens this page can stop, download and '
                        'delete them. They are kept until then in {folder} of the machine that serves it.')
    recorded = '{name}: {time}, {megabytes} MB'
    csv = 'CSV'
    video = 'Video'
    download_csv = 'Download the CSV of {name}'
    download_video = 'Download the video of {name}'
    delete = 'Delete the recording {name}'
    calibrate = 'Calibrate neutral face'
    calibrating = 'Look at the camera with a resting face for two seconds …'
    reset = 'Reset calibration'
    clear = 'Clear lines'
    cleared = 'The lines were cleared, for all browsers.'
    deleted = 'The recording was deleted.'
    undo = 'Undo'
    too_late = 'It is too late to undo this.'
    markers_csv = 'Markers'
    download_markers = 'Download the markers of {name}'
    marker_moment = 'A marker needs a moment that is on the line.'
    marker_hint = 'For all browsers, until the dashboard exits. Those set during a recording are kept with it.'
    session_hint = ('Since the dashboard was started or the lines were cleared, at most the last hour, with up to ten '
                    'frames of each second.')
    webcam = 'Webcam of this machine'
    webcam_start = 'Start {device}'
    webcam_stop = 'Stop webcam'
    webcam_running = 'The webcam is running.'
    webcam_busy = 'Another camera already publishes on {topic}: stop it first.'
    webcam_problem = 'The webcam stopped: {problem}'
    no_service = 'The node fer does not respond. Is it running?'
    shortcuts = 'Keyboard'
    keys_on = 'Shortcuts of a single key'
    spoken = '{face}: {emotion}'
    shortcut_list = (
        ('0', 'show the primary face'),
        ('1 to 9', 'show the N-th face of the list'),
        ('P', 'pause and resume'),
        ('R', 'start and stop recording'),
        ('C', 'clear the lines'),
        ('M', 'set a marker'),
    )


class Visitor:
    """The part of the tab Live with the camera of the visitor."""

    heading = 'Your own camera'
    start = 'Use my camera'
    stop = 'Stop my camera'
    hint = ('The images of your camera are sent to the machine that serves this page, analysed there and forgotten. '
            'Only you see the result: nothing is stored, recorded or published.')
    insecure = ('The browser gives a camera only to a page that is opened over https, or on the machine itself as '
                'http://localhost. This page was opened over http from another machine.')
    denied = 'The browser was not allowed to use the camera. Allow it for this page, and try again.'
    missing = 'The browser found no camera.'
    occupied = 'The camera cannot be opened. Another program may be using it.'
    unplugged = 'The camera was switched off.'
    lost = 'The dashboard does not respond, so your camera was stopped.'
    away = 'Your camera was stopped, since the page was not seen.'
    asking = 'Waiting for the camera …'
    loading = 'Loading the network …'
    running = 'Your camera is on.'
    picture = 'Image of your camera with its faces'
    faces = 'Faces'
    nobody = 'No face in view'
    line = 'Valence'
    chart = 'Valence of each face of your camera over the last {seconds} seconds'
    summary = '{face}: last {last}, mean {mean}, from {least} to {most}.'
    summary_none = 'No face.'
    seconds_axis = 'seconds before now'
    smoothed = 'thick: smoothed'
    raw = 'thin: raw'
    positive = 'positive'
    neutral = 'neutral'
    negative = 'negative'


class VisitorErrors:
    """Why an image of a visitor is not analysed."""

    full = '{count} visitors are using their cameras, which is the maximum. Try again later.'
    gone = 'Your camera was stopped, since no image came or no face was seen for a while.'
    too_fast = 'The image came before the last one was answered.'
    too_large = 'The image is too large.'
    no_picture = 'This is not a JPEG image, or it is damaged.'
    failed = 'The faces of your camera cannot be analysed on this machine.'
    died = 'The process that analysed your camera ended. Start the camera again.'
