#!/usr/bin/env python3
"""ci_job.py FILE N: prints a shell script that runs the steps of job N of a file for GitHub Actions or GitLab.

Supported expressions of GitHub Actions: matrix.shard, which is N; vars.NAME and secrets.NAME, which are the environment
variables of that name; inputs.NAME in action.yml; those of runner and github that are environment variables such as
RUNNER_OS, GITHUB_RUN_ID and GITHUB_RUN_ATTEMPT; and `||` between them. Any other is an error. Caches are restored and
saved by tests/helpers/ci_cache. Variables in the environment replace those of a file for GitLab.
"""
import os
import pathlib
import re
import shlex
import sys

import yaml

HELPERS = pathlib.Path(__file__).resolve().parent
CACHE = HELPERS / 'ci_cache'
ACTION = HELPERS.parents[1] / 'action.yml'


def expanded(text, number, inputs=None):
    def term(words):
        kind, name = words.split('.')
        if (kind, name) == ('matrix', 'shard'):
            return number
        if kind in ('vars', 'secrets'):
            return os.environ.get(name, '')
        if kind == 'inputs' and inputs is not None:
            return inputs[name]
        if kind in ('runner', 'github'):
            return os.environ[f'{kind}_{name}'.upper()]
        sys.exit(f'unknown expression: {words}')

    def value(match):
        return next(filter(None, map(term, match.group(1).split(' || '))), '')

    return re.sub(r'\$\{\{ (.+?) \}\}', value, str(text))


def github_cache(step, number):
    verb = re.fullmatch(r'actions/cache/(restore|save)@v4', step['uses']).group(1)
    words = [step['with'][name] for name in ('path', 'key', 'restore-keys') if name in step['with']]
    return shlex.join([str(CACHE), verb, *(expanded(word, number) for word in words)])


def github_run(step, number, inputs=None):
    settings = [f'{name}={expanded(value, number, inputs)}' for name, value in step.get('env', {}).items()]
    yield shlex.join(['env', *settings, 'bash', '-e', '-c', step['run']])
    yield 'while read -r folder; do PATH=$folder:$PATH; done <"$GITHUB_PATH"; : >"$GITHUB_PATH"'
    yield 'while read -r line; do export "$line"; done <"$GITHUB_ENV"; : >"$GITHUB_ENV"'


def github_action(step, number):
    """The steps of action.yml, at the version that the step names."""
    action = yaml.safe_load(ACTION.read_text(encoding='utf-8'))
    inputs = {name: of.get('default', '') for name, of in action['inputs'].items()}
    given = {name: expanded(value, number) for name, value in step.get('with', {}).items()}
    assert given.keys() <= inputs.keys()
    assert step['uses'] == f'memolock/memolock@v{inputs["version"]}'
    for of_action in action['runs']['steps']:
        assert of_action['shell'] == 'bash'
        yield from github_run(of_action, number, inputs | given)


def github(workflow, number):
    (job,) = workflow['jobs'].values()
    assert int(number) in job.get('strategy', {'matrix': {'shard': [1]}})['matrix']['shard']
    yield 'set -e; unset MEMOLOCK_STORE'  # a variable of the repository is not in the environment
    for name, value in job.get('env', {}).items():
        yield f'export {name}={shlex.quote(expanded(value, number))}'
    for name in ('GITHUB_PATH', 'GITHUB_ENV'):
        yield f'export {name}=$PWD/../{name}.$BASHPID; : >"${name}"'
    yield 'export RUNNER_TEMP=$PWD/../temp; mkdir -p "$RUNNER_TEMP"'
    for step in job['steps']:
        if 'run' in step:
            yield from github_run(step, number)
        elif step['uses'].startswith('memolock/'):
            yield from github_action(step, number)
        elif step['uses'] != 'actions/checkout@v4':
            yield github_cache(step, number)


class Pipeline(yaml.SafeLoader):
    """Loads a file for GitLab, with its tag !reference [JOB, KEY]."""


Pipeline.add_constructor('!reference', lambda loader, node: tuple(loader.construct_sequence(node)))


def gitlab(path, number):
    def load(name):
        with open(path.parent / name, encoding='utf-8') as file:
            return yaml.load(file, Pipeline)

    pipeline = load(path.name)
    jobs = {}
    for part in [*(load(of['local']) for of in pipeline.pop('include', [])), pipeline]:
        jobs |= part
    (job,) = (of for name, of in jobs.items() if not name.startswith('.'))
    base = jobs[job.pop('extends')]
    job = base | job | {'variables': base.get('variables', {}) | job.get('variables', {})}
    assert int(number) <= job.get('parallel', 1)
    yield f'set -eo pipefail; export CI_NODE_INDEX={number} CI_PROJECT_DIR=$PWD'
    for name, value in job['variables'].items():
        yield f'export {name}={shlex.quote(os.environ.get(name, value))}'
    if cache := job.get('cache'):
        (cached,) = cache['paths']
        words = shlex.join([cached.rstrip('/'), cache['key']])
        yield f'{CACHE} restore {words}'
        assert cache['when'] == 'always'
        yield f"trap '{CACHE} save {words}' EXIT"
    for line in job['before_script'] + job['script']:
        if isinstance(line, tuple):
            yield from jobs[line[0]][line[1]]
        else:
            yield line


def script(path, number):
    if 'gitlab' in path.name:
        return gitlab(path, number)
    return github(yaml.safe_load(path.read_text(encoding='utf-8')), number)


print('\n'.join(script(pathlib.Path(sys.argv[1]), sys.argv[2])))
