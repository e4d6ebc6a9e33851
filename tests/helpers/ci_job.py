#!/usr/bin/env python3
"""ci_job.py FILE N: prints a shell script that runs the steps of job N of a file for GitHub Actions or GitLab.

Of the expressions of GitHub Actions it knows matrix.shard, which is N, and vars.NAME and secrets.NAME, which are the
environment variables of that name. Any other is an error.
"""
import os
import re
import shlex
import sys

import yaml


def expanded(text, number):
    def value(match):
        kind, name = match.group(1).split('.')
        if (kind, name) == ('matrix', 'shard'):
            return number
        if kind in ('vars', 'secrets'):
            return os.environ.get(name, '')
        sys.exit(f'unknown expression: {match.group(0)}')

    return re.sub(r'\$\{\{ (\S+) \}\}', value, text)


def github(workflow, number):
    (job,) = workflow['jobs'].values()
    assert int(number) in job['strategy']['matrix']['shard']
    yield 'set -e'
    for name, value in job['env'].items():
        yield f'export {name}={shlex.quote(expanded(value, number))}'
    yield 'export GITHUB_PATH=$PWD/../path.$BASHPID; : >"$GITHUB_PATH"'
    for step in job['steps']:
        if 'run' in step:
            yield f'bash -e -c {shlex.quote(step["run"])}'
            yield 'while read -r folder; do PATH=$folder:$PATH; done <"$GITHUB_PATH"; : >"$GITHUB_PATH"'


def gitlab(pipeline, number):
    (job,) = pipeline.values()
    assert int(number) <= job['parallel']
    yield f'set -eo pipefail; export CI_NODE_INDEX={number}'
    yield from job['before_script'] + job['script']


with open(sys.argv[1], encoding='utf-8') as file:
    content = yaml.safe_load(file)
print('\n'.join((github if 'jobs' in content else gitlab)(content, sys.argv[2])))
