import base64

import numpy as np
import pytest

from fer_ros.media.video_writer import VideoWriter


def test_a_browser_plays_what_is_written_with_its_times(tmp_path, watch):
    recorder = VideoWriter(tmp_path / 'a.mp4', 10.0)
    for level, stamp in (*((20 * i, i / 5) for i in range(10)), (250, 4.0), (0, 5.0)):
        recorder.add(np.full((48, 64, 3), level, np.uint8), stamp)
    recorder.close()
    data = base64.b64encode((tmp_path / 'a.mp4').read_bytes()).decode()
    page = watch().context.new_page()
    page.set_content(f'<video muted src="data:video/mp4;base64,{data}"></video>')
    found = page.evaluate("""async () => {
        const video = document.querySelector('video'), found = [];
        const canvas = document.createElement('canvas').getContext('2d');
        await new Promise((done, failed) => {
            if (video.readyState >= 2) done();
            video.onloadeddata = done;
            video.onerror = () => failed(video.error.message);
        });
        for (const time of [0.1, 1.1, 4.5]) {
            const shown = new Promise(done => video.requestVideoFrameCallback(done));
            await new Promise(done => { video.onseeked = done; video.currentTime = time; });
            await Promise.race([shown, new Promise(done => setTimeout(done, 60000))]);
            canvas.drawImage(video, 0, 0);
            found.push(canvas.getImageData(32, 24, 1, 1).data[1]);
        }
        return [video.duration, video.videoWidth, video.videoHeight, ...found];
    }""")
    assert found == pytest.approx([5.2, 64, 48, 0, 100, 250], abs=8)
    assert found[0] == pytest.approx(5.0, abs=0.3)
