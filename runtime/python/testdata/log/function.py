import logging, sys, warnings

logger = logging.getLogger('app')


def handler(req):
    match req.path:
        case '/print':
            print('one', 2)
            print('two\nlines')
            print('error', file=sys.stderr)
            print('part', end='')
        case '/levels':
            logging.debug('hidden')
            for level in (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
                logger.log(level, 'at %d', level)
            logger.setLevel(logging.DEBUG)
            logger.debug('shown')
        case '/basic':
            logging.basicConfig(level=logging.WARNING, format='%(levelname)s %(name)s: %(message)s')
            logger.info('hidden')
            logger.warning('shown')
        case '/basic-debug':
            logging.basicConfig(level=logging.DEBUG)
            logging.debug('shown')
        case '/handler':
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter('<%(message)s>'))
            logger.addHandler(handler)
            logger.propagate = False
            logger.warning('own')
        case '/exception':
            try:
                1 / 0
            except ZeroDivisionError:
                logging.exception('failed')
        case '/warnings':
            warnings.warn('careful')
        case '/unicode':
            print('ü€\ud800')
        case '/large':
            print('x' * 3000)
