import importlib.resources
import os
import pathlib
import pkgutil
import tempfile

import data


def handler(req):
    here = pathlib.Path(__file__).parent
    match req.path:
        case '/read':
            return [here.joinpath('data/text.txt').read_text(), open('data/text.txt').read(), importlib.resources.files(data).joinpath('text.txt').read_text(),
                    importlib.resources.files('data').joinpath('text.txt').is_file(), pkgutil.get_data('data', 'text.txt').decode(), sorted(os.listdir('data'))]
        case '/write':
            open(here / 'new.txt', 'w')
        case '/tmp':
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, 'a.txt')
                with open(path, 'w') as file:
                    file.write('héllo\n' * 3)
                with open(path, 'a') as file:
                    file.write('end')
                os.rename(path, path + '2')
                return [open(path + '2').read().count('\n'), os.path.getsize(path + '2'), os.listdir(folder)]
        case '/full':
            try:
                with open('/tmp/full', 'wb') as file:
                    for _ in range(64):
                        file.write(bytes(1 << 20))
            except OSError as error:
                return error.strerror
        case '/missing':
            open('/app/none.txt')
