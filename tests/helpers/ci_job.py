#!/usr/bin/env python3
"""ci_job.py FILE N: prints a shell script that runs the steps of job N of a file for GitHub Actions or GitLab.

Of the expressions of GitHub Actions it knows matrix.shard, which is N, vars.NAME and secrets.NAME, which are the
environment variables of that name, and runner.os, runner.arch and github.run_id, which are RUNNER_OS, RUNNER_ARCH and
GITHUB_RUN_ID. Any other is an error. Caches are restored and saved by tests/helpers/ci_cache. MEMOLOCK_TARBALL in the
environment replaces that of the file.
"""
import os
import pathlib
import re
import shlex
import sys

import yaml

CACHE = pathlib.Path(__file__).with_name('ci_cache')


def expanded(text, number):
    def value(match):
        kind, name = match.group(1).split('.')
        if (kind, name) == ('matrix', 'shard'):
            return number
        if kind in ('vars', 'secrets'):
            return os.environ.get(name, '')
        if kind in ('runner', 'github'):
            return os.environ[f'{kind}_{name}'.upper()]
        sys.exit(f'unknown expression: {match.group(0)}')

    return re.sub(r'\$\{\{ (\S+) \}\}', value, text)


def github_cache(step, number):
    verb = re.fullmatch(r'actions/cache/(restore|save)@v4', step['uses']).group(1)
    words = [step['with'][name] for name in ('path', 'key', 'restore-keys') if name in step['with']]
    return shlex.join([str(CACHE), verb, *(expanded(word, number) for word in words)])


def github(workflow, number):
    (job,) = workflow['jobs'].values()
    assert int(number) in job.get('strategy', {'matrix': {'shard': [1]}})['matrix']['shard']
    yield 'set -e'
    for name, value in job['env'].items():
        value = os.environ.get(name, '') if name == 'MEMOLOCK_TARBALL' else expanded(value, number)
        yield f'export {name}={shlex.quote(value)}'
    for name in ('GITHUB_PATH', 'GITHUB_ENV'):
        yield f'export {name}=$PWD/../{name}.$BASHPID; : >"${name}"'
    for step in job['steps']:
        if 'run' in step:
            yield f'bash -e -c {shlex.quote(step["run"])}'
            yield 'while read -r folder; do PATH=$folder:$PATH; done <"$GITHUB_PATH"; : >"$GITHUB_PATH"'
            yield 'while read -r line; do export "$line"; done <"$GITHUB_ENV"; : >"$GITHUB_ENV"'
        elif step['uses'] != 'actions/checkout@v4':
            yield github_cache(step, number)


def gitlab(pipeline, number):
    (job,) = pipeline.values()
    assert int(number) <= job.get('parallel', 1)
    yield f'set -eo pipefail; export CI_NODE_INDEX={number}'
    for name, value in job.get('variables', {}).items():
        yield f'export {name}={shlex.quote(os.environ.get(name, value))}'
    if cache := job.get('cache'):
        (path,) = cache['paths']
        words = shlex.join([path.rstrip('/'), cache['key']])
        yield f'{CACHE} restore {words}'
        assert cache['when'] == 'always'
        yield f"trap '{CACHE} save {words}' EXIT"
    yield from job['before_script'] + job['script']


with open(sys.argv[1], encoding='utf-8') as file:
    content = yaml.safe_load(file)
print('\n'.join((github if 'jobs' in content else gitlab)(content, sys.argv[2])))
