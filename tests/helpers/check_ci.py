#!/usr/bin/env python3
"""check_ci.py: checks the files for GitHub: their structure, and that what they call exists and is what is documented.

Prints what is wrong; the status is 1 if anything is.
"""
import pathlib
import re
import subprocess
import sys

import yaml

PROJECT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = PROJECT / '.github'
WORKFLOW = {'name', 'on', 'permissions', 'jobs'}
JOB = {'if', 'needs', 'runs-on', 'timeout-minutes', 'permissions', 'container', 'strategy', 'steps'}
STEP = {'name', 'if', 'uses', 'with', 'run', 'shell', 'env'}
FIELDS = {  # the attributes of an issue form's elements, and those that are required
    'markdown': ({'value'}, {'value'}),
    'textarea': ({'label', 'description', 'placeholder', 'value', 'render'}, {'label'}),
    'input': ({'label', 'description', 'placeholder', 'value'}, {'label'}),
}

wrong = []


def expect(condition, text):
    if not condition:
        wrong.append(text)


def load(path):
    content = yaml.safe_load(path.read_text(encoding='utf-8'))
    # YAML 1.1 reads the key `on` as true
    return {'on' if key is True else key: value for key, value in content.items()}


def commands_of_dev():
    text = subprocess.run([PROJECT / 'dev'], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r'^  (\w+)', text, re.MULTILINE))


def check_command(command, where):
    for name in re.findall(r'\./dev (\w+)', command):
        expect(name in commands_of_dev(), f'{where}: ./dev {name} does not exist')
    for path in re.findall(r'(?:^|\s)(\.ci/\w+)', command):
        expect((PROJECT / path).exists(), f'{where}: {path} does not exist')


def check_steps(steps, where, shells):
    for step in steps:
        expect(step.keys() <= STEP, f'{where}: {step.keys() - STEP}')
        expect(('run' in step) != ('uses' in step), f'{where}: a step has either run or uses')
        expect(('shell' in step) == (shells and 'run' in step), f'{where}: shell')
        expect(re.fullmatch(r'[\w/-]+@v[\d.]+', step.get('uses', 'a/b@v1')), f'{where}: {step.get("uses")}')
        check_command(step.get('run', ''), where)


def check_workflow(path):
    workflow = load(path)
    jobs = workflow['jobs']
    expect(workflow.keys() == WORKFLOW, f'{path.name}: {workflow.keys() ^ WORKFLOW}')
    expect(workflow['permissions'] == {'contents': 'read'}, f'{path.name}: permissions')
    for name, job in jobs.items():
        where = f'{path.name}: {name}'
        expect(job.keys() <= JOB, f'{where}: {job.keys() - JOB}')
        expect(job.get('needs', name) in jobs, f'{where}: needs')
        matrix = job.get('strategy', {}).get('matrix', {})
        text = yaml.safe_dump(job)
        for variable in re.findall(r'\$\{\{ matrix\.(\w+)', text):
            expect(variable in matrix, f'{where}: matrix.{variable}')
        for command in matrix.get('command', []):
            check_command(command, where)
        check_steps(job['steps'], where, shells=False)
    return workflow


def runs(job):
    return [step['run'] for step in job['steps'] if 'run' in step]


def check_ci():
    jobs = check_workflow(FOLDER / 'workflows/ci.yml')
    expect({'push', 'pull_request', 'schedule'} == jobs['on'].keys(), 'ci.yml: on')
    checks, sanitizers = jobs['jobs']['checks'], jobs['jobs']['sanitizers']
    expect(checks['if'] == "github.event_name != 'schedule'" and '.ci/run' in runs(checks), 'ci.yml: .ci/run')
    expect(sanitizers['if'] == "github.event_name == 'schedule'" and
           sanitizers['strategy']['matrix']['preset'] == ['asan', 'tsan'], 'ci.yml: sanitizers')


def check_release():
    workflow = check_workflow(FOLDER / 'workflows/release.yml')
    text = (PROJECT / 'RELEASING.md').read_text(encoding='utf-8')
    documented = re.findall(r'^ +((?:\w+=\S+ )*(?:\./dev|\.ci/run).*)$', text, re.MULTILINE)
    jobs = workflow['jobs']
    expect([jobs[name].get('needs') for name in ('version', 'checks', 'packages', 'publish')] ==
           [None, 'version', 'checks', 'packages'], 'release.yml: needs')
    for words in ('CMakeLists.txt', 'CHANGELOG.md'):
        expect(words in ''.join(runs(jobs['version'])), f'release.yml: version does not look at {words}')
    expect(jobs['publish']['permissions'] == {'contents': 'write'}, 'release.yml: permissions of publish')
    for words in ('gh release create', '--verify-tag', '--notes-file', 'packages/*'):
        expect(words in ''.join(runs(jobs['publish'])), f'release.yml: publish without {words}')
    done = [*jobs['checks']['strategy']['matrix']['command'],
            *(run for run in runs(jobs['packages']) if run.startswith('./dev'))]
    by_hand = [command for command in documented if command.split()[:2] in (['./dev', 'bench'], ['./dev', 'release'])]
    expect(sorted(done) == sorted(set(documented) - set(by_hand)),
           f'release.yml and RELEASING.md differ: {set(done) ^ (set(documented) - set(by_hand))}')


def check_form():
    config = load(FOLDER / 'ISSUE_TEMPLATE/config.yml')
    expect(config['blank_issues_enabled'] is False, 'config.yml: an issue without the form and its warning')
    expect(all(of.keys() == {'name', 'url', 'about'} for of in config['contact_links']), 'config.yml: contact_links')
    form = load(FOLDER / 'ISSUE_TEMPLATE/bug.yml')
    expect(form.keys() == {'name', 'description', 'labels', 'body'}, 'bug.yml: keys')
    ids = [of['id'] for of in form['body'] if of['type'] != 'markdown']
    expect(len(ids) == len(set(ids)), 'bug.yml: ids')
    for element in form['body']:
        known, required = FIELDS[element['type']]
        expect(required <= element['attributes'].keys() <= known, f'bug.yml: {element}')
        expect(element.keys() <= {'type', 'id', 'attributes', 'validations'}, f'bug.yml: {element}')
    asked = ' '.join(of['attributes'].get('description', '') for of in form['body']
                     if of.get('validations', {}).get('required'))
    for words in ('`memolock --version`', '`memolock doctor --json`', '`-vv`'):
        expect(words in asked, f'bug.yml does not ask for {words}')
    expect('secrets' in form['body'][0]['attributes']['value'], 'bug.yml does not warn of secrets')


def check_action():
    action = load(PROJECT / 'action.yml')
    expect(action.keys() == {'name', 'description', 'inputs', 'runs'}, 'action.yml: keys')
    expect(action['inputs'].keys() == {'version', 'store'}, 'action.yml: inputs')
    expect(action['runs'].keys() == {'using', 'steps'} and action['runs']['using'] == 'composite', 'action.yml: runs')
    check_steps(action['runs']['steps'], 'action.yml', shells=True)


for check in (check_ci, check_release, check_form, check_action):
    check()
print('\n'.join(wrong))
sys.exit(bool(wrong))
