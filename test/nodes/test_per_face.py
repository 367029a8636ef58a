from fer_ros.nodes.per_face import PerFace


class Closing:
    def __init__(self, face_id, log):
        self.face_id, self.log = face_id, log
        log.append(f'+{face_id}')

    def close(self):
        self.log.append(f'-{self.face_id}')


def test_per_face_items_live_as_long_as_the_track_and_the_grace():
    now, log = [0.0], []
    items = PerFace(lambda i: Closing(i, log), 2.0, lambda: now[0])
    items.keep({'a', 'b'})
    for now[0], living in ((1.0, {'a'}), (2.0, {'a'}), (2.5, {'a', 'b'}), (4.5, {'a'})):
        items.keep(living)
    assert log == ['+a', '+b'] and 'b' in items
    now[0] = 4.6
    items.keep({'a'})
    assert log == ['+a', '+b', '-b'] and 'b' not in items
    items.clear()
    assert log[3:] == ['-a']
