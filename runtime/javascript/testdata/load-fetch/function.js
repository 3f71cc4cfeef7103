await fetch('http://example.org/');
export default () => 'never';
