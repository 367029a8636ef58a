import pytest

from fer_ros.package_files import shared_file


@pytest.fixture(scope='session')
def shipped_model():
    try:
        return shared_file('models/msfernet.safetensors')
    except FileNotFoundError as error:
        pytest.skip(f'needs the weights that come with the package: {error}')
