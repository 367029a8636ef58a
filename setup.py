from glob import glob

from setuptools import find_packages, setup
from setuptools.command.develop import develop

PACKAGE = 'fer_ros'


class Develop(develop):
    """What `colcon build --symlink-install` runs.

    Its scripts name the Python that runs colcon; setup.cfg names the environment's for other builds only.
    """

    def write_script(self, script_name, contents, mode='t', *blockers):
        super().write_script(script_name, '#!/usr/bin/env python3\n' + contents.partition('\n')[2], mode, *blockers)


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Facial emotion recognition for ROS 2',
    maintainer='fer_ros maintainers',
    maintainer_email='maintainers@users.noreply.r-seed-167b7012.example',
    license='Apache-2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed'],
                  f'{PACKAGE}.web': ['*.css', 'chart/*.js', 'live/*.js', 'video/*.js', 'video/player/*.js',
                                   'visitor/*.js']},
    # What is needed to run stands in package.xml (ROS) and requirements/ (no ROS).
    install_requires=['setuptools'],
    python_requires='>=3.10',
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        (f'share/{PACKAGE}', ['package.xml']),
        (f'share/{PACKAGE}/launch', glob('launch/*.launch.py')),
        (f'share/{PACKAGE}/config', glob('config/*')),
        (f'share/{PACKAGE}/models', glob('models/*.*')),
        (f'share/{PACKAGE}/models/graphs', glob('models/graphs/*')),
    ],
    zip_safe=True,
    cmdclass={'develop': Develop},
    entry_points={'console_scripts': [
        f'fer_node = {PACKAGE}.nodes.fer_node:main',
        f'video_source = {PACKAGE}.nodes.video_source:main',
        f'valence_plot = {PACKAGE}.nodes.valence_plot:main',
        f'live_table = {PACKAGE}.nodes.live_table:main',
        f'dashboard = {PACKAGE}.nodes.dashboard:main',
        f'process_video = {PACKAGE}.tools.process_video:main',
        f'valence_report = {PACKAGE}.tools.valence_report:main',
        f'install_models = {PACKAGE}.tools.install_models:main',
        f'train = {PACKAGE}.msfernet.train:main',
        f'evaluate = {PACKAGE}.msfernet.evaluate:main',
    ]},
)
