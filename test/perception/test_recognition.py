import logging
import pickle
import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from fer_ros.media.built_in_clip import portraits
from fer_ros.msfernet import prepared_graph
from fer_ros.msfernet.network import MSFERNet
from fer_ros.msfernet.preprocessing import network_input
from fer_ros.msfernet.weights import Model, load_model, read_tensors, save_model, write_tensors
from fer_ros.perception import onnx_runtime, recognition
from fer_ros.perception.cropping import FRAMING, crop_faces
from fer_ros.perception.detection import create_detector
from fer_ros.perception.recognition import EmotionRecognizer, RecognizerError
from fer_ros.perception.runtime import RuntimeFailure
from fer_ros.perception.torch_runtime import TorchRuntime

needs_onnx = pytest.mark.skipif(find_spec('onnxruntime') is None, reason='onnxruntime is not installed')
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
ON_CPU = ['torch', pytest.param('onnxruntime', marks=needs_onnx)]


@pytest.fixture(scope='module', params=ON_CPU)
def recognizer(shipped_model, request):
    return EmotionRecognizer(shipped_model, 'cpu', runtime=request.param)


@pytest.fixture(scope='module')
def crops():
    detector = create_detector('short')
    found = [crop_faces(image, [FRAMING['short'].square(detector.detect(image)[0])]) for image in portraits().values()]
    detector.close()
    return np.concatenate([*found, np.random.default_rng(0).integers(0, 256, (6, 48, 48), np.uint8)])


@pytest.mark.parametrize('count', [1, 2, 3, 8])
def test_is_the_network_with_its_temperature(recognizer, shipped_model, crops, count):
    """Neither freezing nor the export to ONNX changes anything, at any batch size."""
    model = load_model(shipped_model)
    with torch.no_grad():
        logits = model.network(network_input(crops[:count])).logits
    expected = (logits / model.temperature).softmax(1).numpy()
    probabilities = recognizer.probabilities(crops[:count])
    assert probabilities.shape == (count, 7)
    assert probabilities.dtype == np.float32
    assert np.abs(probabilities - expected).max() < 1e-4
    assert np.abs(probabilities.sum(1) - 1).max() < 1e-5


def test_no_faces(recognizer):
    assert recognizer.probabilities(np.zeros((0, 48, 48), np.uint8)).shape == (0, 7)


@pytest.mark.parametrize('crops', [np.zeros((48, 48), np.uint8), np.zeros((1, 48, 47), np.uint8),
                                   np.zeros((1, 48, 48))])
def test_wrong_crops_are_named(recognizer, crops):
    with pytest.raises(ValueError, match=r'must be uint8 of shape \(N, 48, 48\), got'):
        recognizer.probabilities(crops)


def test_says_what_it_is(recognizer):
    assert recognizer.device == 'cpu'
    assert recognizer.model_name == 'msfernet.safetensors'


def test_comes_with_a_model(shipped_model):
    assert EmotionRecognizer().model_name == shipped_model.name


def test_missing_model_is_named(tmp_path):
    with pytest.raises(RecognizerError, match=r'no weights file at .*nothing\.safetensors'):
        EmotionRecognizer(tmp_path / 'nothing.safetensors', 'cpu')


def test_package_without_a_model(monkeypatch):
    monkeypatch.setattr(recognition, 'SHIPPED_MODEL', 'models/other.safetensors')
    with pytest.raises(RecognizerError, match=r'models/other\.safetensors is not part of'):
        EmotionRecognizer('', 'cpu')


@pytest.mark.parametrize('share', [0.0, 0.001, 0.5, 0.999])
def test_truncated_model_is_named(tmp_path, shipped_model, share):
    data = shipped_model.read_bytes()
    path = tmp_path / 'cut.safetensors'
    path.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(RecognizerError, match=r'cut\.safetensors is not a complete safetensors file'):
        EmotionRecognizer(path, 'cpu')


def test_foreign_models_are_named(tmp_path):
    from safetensors.torch import save_file
    save_file({'weight': torch.zeros(3)}, tmp_path / 'other.safetensors')
    with pytest.raises(RecognizerError, match=r'other\.safetensors is not an MSFERNet weights file'):
        EmotionRecognizer(tmp_path / 'other.safetensors', 'cpu')
    (tmp_path / 'text.safetensors').write_text('I am no network. ' * 100)
    with pytest.raises(RecognizerError, match=r'text\.safetensors is not a complete safetensors file'):
        EmotionRecognizer(tmp_path / 'text.safetensors', 'cpu')


class Trap:
    """Unpickling it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), 'w')


@pytest.mark.parametrize('save', [lambda trap, path: path.write_bytes(pickle.dumps(trap)),
                                  lambda trap, path: torch.save({'weights': trap}, path)], ids=['pickle', 'torch'])
def test_pickle_is_never_loaded(tmp_path, save):
    sprung = tmp_path / 'sprung'
    save(Trap(sprung), tmp_path / 'model.pt')
    with pytest.raises(RecognizerError, match=r'model\.pt is not a complete safetensors file'):
        EmotionRecognizer(tmp_path / 'model.pt', 'cpu')
    assert not sprung.exists()


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(recognition, 'gpu_possible', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 0)


@pytest.mark.parametrize('device', ['cuda', 'cuda:0', 'cuda:3'])
def test_cuda_that_is_not_there(no_gpu, shipped_model, device):
    with pytest.raises(RecognizerError, match=f'device {device} is not available: torch finds no CUDA device; set'):
        EmotionRecognizer(shipped_model, device)


def test_cuda_number_that_is_not_there(monkeypatch, shipped_model):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    with pytest.raises(RecognizerError, match='only cuda:0 to cuda:1 are present'):
        EmotionRecognizer(shipped_model, 'cuda:2')


def test_auto_falls_back_to_the_cpu_and_says_so(no_gpu, shipped_model, caplog):
    with caplog.at_level(logging.INFO, recognition.__name__):
        assert EmotionRecognizer(shipped_model, 'auto').device == 'cpu'
    assert 'the network runs on the CPU' in caplog.text


def test_auto_falls_back_when_the_gpu_does_not_work(monkeypatch, shipped_model, crops, caplog):
    """A driver that does not fit, or no memory left: only running shows it."""
    works = TorchRuntime._prepare

    def prepare(self, module):
        if self._device.type == 'cuda':
            raise RuntimeError('CUDA error: out of memory\nmore')
        return works(self, module)

    monkeypatch.setattr(TorchRuntime, '_prepare', prepare)
    monkeypatch.setattr(recognition, 'gpu_possible', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    for runtime in ('auto', 'torch'):
        recognizer = EmotionRecognizer(shipped_model, 'auto', runtime=runtime)
        assert recognizer.device == 'cpu'
        assert 'CUDA error: out of memory' in caplog.text
        assert recognizer.probabilities(crops).shape == (8, 7)
    with pytest.raises(RecognizerError, match=r'does not run on cuda:0: CUDA error: out of memory$'):
        EmotionRecognizer(shipped_model, 'cuda:0')


@needs_onnx
def test_auto_takes_onnx_runtime_on_the_cpu(shipped_model):
    assert EmotionRecognizer(shipped_model, 'cpu').runtime == 'onnxruntime'
    assert EmotionRecognizer(shipped_model, 'cpu', runtime='torch').runtime == 'torch'
    assert EmotionRecognizer(shipped_model, 'auto', runtime='onnxruntime').device == 'cpu'


def without(monkeypatch, *packages):
    found = find_spec
    monkeypatch.setattr(onnx_runtime, 'find_spec', lambda name: None if name in packages else found(name))


def test_without_onnx_runtime(monkeypatch, shipped_model, caplog):
    without(monkeypatch, 'onnxruntime')
    with caplog.at_level(logging.INFO, recognition.__name__):
        assert EmotionRecognizer(shipped_model, 'cpu').runtime == 'torch'
    assert f'onnxruntime not installed: {onnx_runtime.INSTALL}' in caplog.text
    with pytest.raises(RecognizerError, match=f'^onnxruntime not installed: {onnx_runtime.INSTALL}$'):
        EmotionRecognizer(shipped_model, 'cpu', runtime='onnxruntime')


@needs_onnx
def test_the_shipped_network_needs_no_onnx(monkeypatch, shipped_model):
    without(monkeypatch, 'onnx')
    assert EmotionRecognizer(shipped_model, 'cpu').runtime == 'onnxruntime'


@pytest.fixture
def other_architecture(tmp_path):
    """Weights of an architecture that has no prepared graph."""
    torch.manual_seed(0)
    path = tmp_path / 'other.safetensors'
    save_model(path, Model(MSFERNet(stem=8, widths=(8, 8), depths=(1, 1), attention=False).eval(), temperature=1.5))
    return path


@needs_onnx
def test_other_architectures_are_exported(other_architecture, crops):
    pytest.importorskip('onnx')
    by_runtime = [EmotionRecognizer(other_architecture, 'cpu', runtime=runtime) for runtime in ('onnxruntime', 'torch')]
    one, other = (recognizer.probabilities(crops) for recognizer in by_runtime)
    assert np.abs(one - other).max() < 1e-5


def test_other_architectures_without_onnx(monkeypatch, other_architecture, caplog):
    without(monkeypatch, 'onnx')
    with caplog.at_level(logging.INFO, recognition.__name__):
        assert EmotionRecognizer(other_architecture, 'cpu').runtime == 'torch'
    assert f'onnx not installed: {onnx_runtime.INSTALL}' in caplog.text


@pytest.mark.parametrize('runtime', ['auto', 'torch', pytest.param('onnxruntime', marks=needs_onnx)])
@pytest.mark.parametrize('change', ['none', 'shape', 'name'])
def test_weights_that_do_not_fit_their_architecture(tmp_path, shipped_model, runtime, change):
    tensors, metadata = read_tensors(shipped_model)
    bias = tensors.pop('classifier.bias')
    tensors |= {'none': {}, 'shape': {'classifier.bias': bias[:3].clone()}, 'name': {'bias': bias}}[change]
    write_tensors(tmp_path / 'changed.safetensors', tensors, metadata)
    with pytest.raises(RecognizerError, match=r'changed\.safetensors does not fit this version of MSFERNet'):
        EmotionRecognizer(tmp_path / 'changed.safetensors', 'cpu', runtime=runtime)


@needs_onnx
def test_onnx_runtime_that_is_broken(monkeypatch, shipped_model, caplog):
    monkeypatch.setattr(prepared_graph, 'graph', lambda weights: b'no graph')
    assert EmotionRecognizer(shipped_model, 'cpu').runtime == 'torch'
    assert 'ONNX Runtime cannot run the network (InvalidProtobuf' in caplog.text
    with pytest.raises(RecognizerError, match=r'cannot run the network .*: set runtime to torch, or pip install'):
        EmotionRecognizer(shipped_model, 'cpu', runtime='onnxruntime')


@needs_onnx
def test_the_quantised_network_says_nearly_the_same(shipped_model, crops):
    exact, quantised = (EmotionRecognizer(shipped_model, 'cpu', precision=precision)
                        for precision in ('float32', 'int8'))
    assert (exact.precision, quantised.precision) == ('float32', 'int8')
    for count in (1, 2):
        expected, told = exact.probabilities(crops[:count]), quantised.probabilities(crops[:count])
        assert np.abs(told - expected).max() < 0.05
        assert (told.argmax(1) == expected.argmax(1)).all()
        assert np.abs(told.sum(1) - 1).max() < 1e-5


@needs_onnx
@pytest.mark.parametrize(('ratio', 'precision'), [(0.5, 'int8'), (0.95, 'float32'), (1.5, 'float32')])
def test_auto_takes_int8_where_it_is_much_faster(monkeypatch, shipped_model, ratio, precision):
    """Measured once per process, so that all recognisers agree."""
    measured = []
    monkeypatch.setattr(onnx_runtime, '_faster', {})
    monkeypatch.setattr(onnx_runtime, '_time', lambda one, other: measured.append(1) or ratio)
    for _ in range(2):
        assert EmotionRecognizer(shipped_model, 'cpu', precision='auto').precision == precision
    assert len(measured) == 1


@needs_onnx
def test_a_measurement_is_a_ratio_of_times(shipped_model):
    session = EmotionRecognizer(shipped_model, 'cpu')._runtime._session
    assert 0.2 < onnx_runtime._time(session, session) < 5


@needs_onnx
@pytest.mark.parametrize('there', ['nothing', 'of other weights'])
def test_weights_without_a_quantised_network(tmp_path, shipped_model, there):
    copy = tmp_path / 'own.safetensors'
    tensors, metadata = read_tensors(shipped_model)
    write_tensors(copy, tensors, metadata | {'training': '{"own": 1}'})
    if there == 'of other weights':
        shutil.copy(onnx_runtime.quantised_path(shipped_model), onnx_runtime.quantised_path(copy))
    assert EmotionRecognizer(copy, 'cpu', precision='auto').precision == 'float32'
    message = {'nothing': r'there is no quantised network .*own\.int8\.onnx: run python -m fer_ros\.msfernet\.quantise',
               'of other weights': r'own\.int8\.onnx is not of the weights .*own\.safetensors: run python'}[there]
    with pytest.raises(RecognizerError, match=message):
        EmotionRecognizer(copy, 'cpu', precision='int8')


@pytest.mark.parametrize(('device', 'runtime'), [('cpu', 'torch'), ('cuda', 'auto')])
def test_int8_is_for_onnx_runtime(shipped_model, device, runtime):
    with pytest.raises(RecognizerError, match='precision int8 is for ONNX Runtime on a CPU: set precision to auto'):
        EmotionRecognizer(shipped_model, device, runtime=runtime, precision='int8')


def test_unknown_precision_is_named(shipped_model):
    with pytest.raises(RecognizerError, match="unknown precision 'int4': choose one of auto, float32, int8"):
        EmotionRecognizer(shipped_model, 'cpu', precision='int4')


@needs_onnx
def test_a_frame_needs_neither_torch_nor_onnx(shipped_model):
    """They would take seconds and 200 MB of every program."""
    code = ('import sys\n'
            'from fer_ros.media.built_in_clip import BuiltInClip\n'
            'from fer_ros.perception.pipeline import FacePipeline\n'
            'with FacePipeline() as pipeline:\n'
            '    assert pipeline.process(BuiltInClip().frame(0), 0.0).faces\n'
            "print(*sorted({'torch', 'onnx'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == ''


@pytest.mark.parametrize(('driver', 'device', 'possible'), [
    (True, False, True), (False, True, True), (False, False, False)])
def test_torch_is_asked_for_a_gpu_only_where_a_driver_is(monkeypatch, shipped_model, driver, device, possible):
    def load(name):
        if not driver:
            raise OSError(name)

    asked = []
    monkeypatch.setattr(recognition.ctypes, 'CDLL', load)
    monkeypatch.setattr(recognition.os.path, 'exists', lambda path: device)
    monkeypatch.setattr(recognition, '_count_gpus', lambda: asked.append(True) or 0)
    assert EmotionRecognizer(shipped_model, 'auto').device == 'cpu'
    assert bool(asked) == possible


def test_onnx_runtime_is_for_the_cpu(shipped_model):
    with pytest.raises(RecognizerError, match='onnxruntime runs on the CPU only, not on cuda: set runtime to torch'):
        EmotionRecognizer(shipped_model, 'cuda', runtime='onnxruntime')


def test_unknown_runtime_is_named(shipped_model):
    with pytest.raises(RecognizerError, match="unknown runtime 'tensorrt': choose one of auto, torch, onnxruntime"):
        EmotionRecognizer(shipped_model, 'cpu', runtime='tensorrt')


@needs_gpu
def test_gpu_reads_as_the_cpu_does(shipped_model, crops):
    cpu = EmotionRecognizer(shipped_model, 'cpu', runtime='torch')
    gpu = EmotionRecognizer(shipped_model, 'cuda')
    assert (gpu.device, gpu.runtime) == ('cuda:0', 'torch')
    batch = np.tile(crops, (32, 1, 1))
    for count in (1, 8, 256):
        expected, read = cpu.probabilities(batch[:count]), gpu.probabilities(batch[:count])
        assert np.abs(read - expected).max() < 1e-3
        assert (read.argmax(1) == expected.argmax(1)).all()


@needs_gpu
@pytest.mark.parametrize('precision', ['float16', 'bfloat16'])
def test_half_precision_reads_the_same_emotions(shipped_model, crops, precision):
    exact = TorchRuntime(load_model(shipped_model), torch.device('cuda', 0)).probabilities(crops)
    half = TorchRuntime(load_model(shipped_model), torch.device('cuda', 0), precision).probabilities(crops)
    assert half.dtype == np.float32
    assert np.abs(half - exact).max() < (0.01 if precision == 'float16' else 0.05)
    # Where two emotions are as good as equal, either may win.
    clear = np.sort(exact, 1)[:, -1] - np.sort(exact, 1)[:, -2] > 0.1
    assert (half.argmax(1) == exact.argmax(1))[clear].all()
    assert clear.any()


def test_runtime_failure_while_running_is_told(monkeypatch, shipped_model, crops):
    recognizer = EmotionRecognizer(shipped_model, 'cpu')

    def fail(faces):
        raise RuntimeFailure('out of memory')

    monkeypatch.setattr(recognizer._runtime, 'probabilities', fail)
    with pytest.raises(RecognizerError, match=r'^out of memory$'):
        recognizer.probabilities(crops)


@pytest.mark.parametrize('device', ['gpu', 'cuda:', 'cuda:x', 'mps', ''])
def test_unknown_device_is_named(shipped_model, device):
    with pytest.raises(RecognizerError, match=f"unknown device '{device}': choose auto, cpu, cuda or cuda:N"):
        EmotionRecognizer(shipped_model, device)


@pytest.fixture
def eight_processors(monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(recognition.os, 'sched_getaffinity', lambda pid: set(range(8)))
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize('runtime', ON_CPU)
def test_threads_share_the_faces(eight_processors, recognizer, shipped_model, crops, runtime):
    several = EmotionRecognizer(shipped_model, 'cpu', 3, runtime)
    for count in (1, 2, 3, 8):
        difference = several.probabilities(crops[:count]) - recognizer.probabilities(crops[:count])
        assert np.abs(difference).max() < 1e-4


def test_threads(eight_processors, monkeypatch, shipped_model):
    EmotionRecognizer(shipped_model, 'cpu', 2, 'torch')
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(recognition.os, 'sched_getaffinity', lambda pid: {0})
    EmotionRecognizer(shipped_model, 'cpu', 2, 'torch')
    assert torch.get_num_threads() == 1
    with pytest.raises(RecognizerError, match='threads must be at least 1, got 0'):
        EmotionRecognizer(shipped_model, 'cpu', threads=0)


def test_leaves_no_inference_mode_behind(recognizer, crops):
    recognizer.probabilities(crops)
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()


def test_result_is_not_touched_by_the_next_call(recognizer, crops):
    first = recognizer.probabilities(crops[:1])
    before = first.copy()
    recognizer.probabilities(crops[1:2])
    assert (first == before).all()
