import express from 'express';
export default () => 1;
